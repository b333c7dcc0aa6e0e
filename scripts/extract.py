"""Open up one run on one evaluation set: store its activations and score it, in one pass."""

import argparse
import csv
from pathlib import Path

from vidrep.command_line import run
from vidrep.files import whole
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, run the network over the clips, write the store and the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument("--dataset", required=True, help="name of the evaluation set")
    parser.add_argument("--test", required=True, help="its test clips (.h5)")
    parser.add_argument("--fit", required=True, help="its training clips (.h5), on which probes are fitted")
    parser.add_argument("--test-flow", help="flow of the test clips (.zarr), for systems that are fed flow")
    parser.add_argument("--fit-flow", help="flow of the training clips (.zarr)")
    parser.add_argument("--rows", required=True, type=int, help="test clips whose activations are stored")
    parser.add_argument("--fit-rows", required=True, type=int, help="training clips whose activations are stored")
    parser.add_argument("--pooling", required=True, nargs="+", help="none, space_mean, or a grid: T H W")
    parser.add_argument("--dtype", default="float16", choices=["float16", "float32"], help="of the stored activations")
    parser.add_argument("--gpus", type=int, default=0, help="CUDA devices granted to this job (default: 0, the CPU)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument("--store", required=True, type=Path, help="the .zarr folder to write")
    parser.add_argument("--scores", required=True, type=Path, help="the .csv file to write: split, metric, value")
    args = parser.parse_args()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.activations.extract import open_up
    from vidrep.training import device, split
    from vidrep.training.run import load_run

    where = device.choose(args.gpus, "float32", args.threads)
    objective, record = load_run(args.run, where)
    test = split.load_split(args.test, args.test_flow)
    fit = split.load_split(args.fit, args.fit_flow, args.fit_rows)
    attrs = {"dataset": record["dataset"], "system": record["system"]["name"], "seed": record["seed"], "evaluated_on": args.dataset}
    scores = open_up(
        objective,
        test,
        fit,
        args.store,
        attrs,
        rows=min(args.rows, len(test)),
        policy=args.pooling[0] if len(args.pooling) == 1 else [int(size) for size in args.pooling],
        dtype=args.dtype,
        device=where,
    )
    with whole(args.scores) as path, open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["split", "metric", "value"])
        writer.writerows(("test", metric, value) for metric, value in scores.items())
    del slots


if __name__ == "__main__":
    run(main)
