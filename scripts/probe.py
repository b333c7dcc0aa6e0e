"""Probe the layers of one run on one evaluation set: per-class linear SVMs."""

import argparse
import csv
from pathlib import Path

import zarr

from vidrep.activations.store import read_layer, row_numbers
from vidrep.command_line import run
from vidrep.datasets.store import open_clips
from vidrep.files import whole
from vidrep.probes.svm import CHANCE, Protocol, probe_layer


def main() -> None:
    """Read the command line, probe layer by layer, write two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="activation store (.zarr) of the run on the evaluation set")
    parser.add_argument("--test", required=True, help="the evaluation set's test clips (.h5), for their labels")
    parser.add_argument("--fit", required=True, help="its training clips (.h5), for their labels")
    parser.add_argument("--layers", required=True, choices=["all", "last"], help="which layers")
    parser.add_argument("--c", required=True, type=float, nargs="+", help="candidate values of C")
    parser.add_argument("--folds", required=True, type=int, help="folds of the cross-validation that chooses C")
    parser.add_argument("--components", type=int, help="principal components to project on (default: keep the features)")
    parser.add_argument("--probes", required=True, type=Path, help="the .csv file to write: layer, factor, metric, value, chance")
    parser.add_argument("--confusion", required=True, type=Path, help="the .csv file to write: layer, factor, truth, predicted, count")
    args = parser.parse_args()
    protocol = Protocol(tuple(args.c), args.folds, args.components)
    layers = zarr.open_group(args.store, mode="r").attrs["layers"]
    with open_clips(args.test) as test, open_clips(args.fit) as fit:
        labels = fit.labels[row_numbers(args.store, "fit")] > 0, test.labels[row_numbers(args.store)] > 0
        classes = test.attrs["classes"]
    probes, confusion = [], []
    for layer in layers if args.layers == "all" else layers[-1:]:
        results = probe_layer(read_layer(args.store, layer, "fit"), labels[0], read_layer(args.store, layer), labels[1], protocol)
        for name, result in zip(classes, results, strict=True):
            probes.append((layer, f"class_{name}", "balanced_accuracy", result.balanced_accuracy, CHANCE))
            confusion += [(layer, f"class_{name}", t, p, result.confusion[t, p]) for t in (0, 1) for p in (0, 1)]
    write(args.probes, ("layer", "factor", "metric", "value", "chance"), probes)
    write(args.confusion, ("layer", "factor", "truth", "predicted", "count"), confusion)


def write(path: Path, header: tuple, rows: list[tuple]) -> None:
    """Write a table, whole or not at all."""
    with whole(path) as beside, open(beside, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    run(main)
