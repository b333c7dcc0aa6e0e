"""Probe the layers of one run on evaluation sets: per-class linear SVMs."""

import argparse
from pathlib import Path

from vidrep.command_line import run
from vidrep.files import write_rows
from vidrep.probes.svm import Protocol, probe_store


def main() -> None:
    """Read the command line, probe store by store, write two tables of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stores", required=True, nargs="+", help="activation stores (.zarr) of the run, one an evaluation set")
    parser.add_argument("--test", required=True, nargs="+", help="the sets' test clips (.h5), for their labels")
    parser.add_argument("--fit", required=True, nargs="+", help="their training clips (.h5), for their labels")
    parser.add_argument("--c", required=True, type=float, nargs="+", help="candidate values of C")
    parser.add_argument("--folds", required=True, type=int, help="folds of the cross-validation that chooses C")
    parser.add_argument("--components", type=int, help="principal components to project on (default: keep the features)")
    parser.add_argument(
        "--probes", required=True, type=Path, nargs="+", help="the .csv files to write: layer, factor, metric, value, chance"
    )
    parser.add_argument(
        "--confusion", required=True, type=Path, nargs="+", help="the .csv files to write: layer, factor, truth, predicted, count"
    )
    args = parser.parse_args()
    protocol = Protocol(tuple(args.c), args.folds, args.components)
    for store, test, fit, probes, confusion in zip(args.stores, args.test, args.fit, args.probes, args.confusion, strict=True):
        rows, counts = probe_store(store, fit, test, protocol)
        write_rows(probes, ("layer", "factor", "metric", "value", "chance"), rows)
        write_rows(confusion, ("layer", "factor", "truth", "predicted", "count"), counts)


if __name__ == "__main__":
    run(main)
