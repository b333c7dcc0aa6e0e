"""Open up one run on evaluation sets: store its activations and score it, in one pass over each set."""

import argparse
from pathlib import Path

from vidrep.command_line import run
from vidrep.files import write_rows
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, run the network over the clips of each set, write its store and its scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument("--test", required=True, nargs="+", help="test clips (.h5) of the evaluation sets")
    parser.add_argument("--fit", required=True, nargs="+", help="their training clips (.h5), on which probes are fitted")
    parser.add_argument("--test-flow", nargs="+", help="flow of the test clips (.zarr), for systems that are fed flow")
    parser.add_argument("--fit-flow", nargs="+", help="flow of the training clips (.zarr)")
    parser.add_argument("--rows", required=True, type=int, help="test clips whose activations are stored")
    parser.add_argument("--fit-rows", required=True, type=int, help="training clips whose activations are stored")
    parser.add_argument("--pooling", required=True, nargs="+", help="none, space_mean, or a grid: T H W")
    parser.add_argument("--dtype", default="float16", choices=["float16", "float32"], help="of the stored activations")
    parser.add_argument("--gpus", type=int, default=0, help="CUDA devices granted to this job (default: 0, the CPU)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument("--stores", required=True, nargs="+", type=Path, help="the .zarr folders to write, one a set")
    parser.add_argument("--scores", required=True, nargs="+", type=Path, help="the .csv files to write: split, metric, value")
    args = parser.parse_args()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.activations.extract import open_up
    from vidrep.training import device, split
    from vidrep.training.run import load_run

    where = device.choose(args.gpus, "float32", args.threads)
    objective, record = load_run(args.run, where)
    none = [None] * len(args.test)
    files = zip(args.test, args.fit, args.test_flow or none, args.fit_flow or none, args.stores, args.scores, strict=True)
    for test_file, fit_file, test_flow, fit_flow, store, table in files:
        scores = open_up(
            objective,
            split.load_split(test_file, test_flow),
            split.load_split(fit_file, fit_flow, args.fit_rows),
            store,
            {"dataset": record["dataset"], "system": record["system"]["name"], "seed": record["seed"]},
            rows=args.rows,
            policy=args.pooling[0] if len(args.pooling) == 1 else [int(size) for size in args.pooling],
            dtype=args.dtype,
            device=where,
        )
        write_rows(table, ("split", "metric", "value"), [("test", *item) for item in scores.items()])
    del slots


if __name__ == "__main__":
    run(main)
