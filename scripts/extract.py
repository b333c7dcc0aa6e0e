"""Open up runs on evaluation sets: store their activations and score them, in one pass over each
set.

On the data set that it was made for a run is also scored on manipulated test clips.
"""

import argparse
from functools import lru_cache
from pathlib import Path

from vidrep.command_line import add_device_options, run
from vidrep.result_tables import write_rows
from vidrep.systems import flow_inputs
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, run the network over the clips of each set, write its store and its
    scores.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", required=True, nargs="+", type=Path, help="folder of the run, or one of each set"
    )
    parser.add_argument(
        "--test", required=True, nargs="+", help="test clips (.h5) of the evaluation sets"
    )
    parser.add_argument(
        "--fit",
        required=True,
        nargs="+",
        help="their training clips (.h5), on which probes are fitted",
    )
    parser.add_argument(
        "--test-flow",
        nargs="+",
        help="flow of the test clips (.zarr), for systems that are fed flow",
    )
    parser.add_argument("--fit-flow", nargs="+", help="flow of the training clips (.zarr)")
    parser.add_argument(
        "--test-flow-backward",
        nargs="+",
        help="backward flow of the test clips, for systems that are fed it",
    )
    parser.add_argument(
        "--fit-flow-backward", nargs="+", help="backward flow of the training clips"
    )
    parser.add_argument(
        "--rows", required=True, type=int, help="test clips whose activations are stored"
    )
    parser.add_argument(
        "--fit-rows", required=True, type=int, help="training clips whose activations are stored"
    )
    parser.add_argument(
        "--pooling", required=True, nargs="+", help="none, space_mean, or a grid: T H W"
    )
    parser.add_argument(
        "--dtype",
        default="float16",
        choices=["float16", "float32"],
        help="of the stored activations",
    )
    parser.add_argument(
        "--controls",
        nargs="*",
        default=[],
        help="manipulations of the run's own test clips to score it on",
    )
    add_device_options(parser)
    parser.add_argument(
        "--stores",
        required=True,
        nargs="+",
        type=Path,
        help="the .zarr folders to write, one a set",
    )
    parser.add_argument(
        "--scores",
        required=True,
        nargs="+",
        type=Path,
        help="the .csv files to write: split, metric, value",
    )
    args = parser.parse_args()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.activations.extract import open_up
    from vidrep.activations.manipulate import control_scores
    from vidrep.datasets.store import open_clips
    from vidrep.objectives.build import needed_targets
    from vidrep.training import device, split
    from vidrep.training.run import load_run

    where = device.choose(args.gpus, "float32", args.threads)
    flows = [args.test_flow, args.fit_flow, args.test_flow_backward, args.fit_flow_backward]
    flows = [stores or [None] * len(args.test) for stores in flows]
    # one run of several sets is read once, and twins do not pile up
    load = lru_cache(maxsize=1)(load_run)
    runs = args.runs * len(args.test) if len(args.runs) == 1 else args.runs
    files = zip(runs, args.test, args.fit, *flows, args.stores, args.scores, strict=True)
    for (
        folder,
        test_file,
        fit_file,
        test_flow,
        fit_flow,
        test_back,
        fit_back,
        store,
        table,
    ) in files:
        objective, record = load(folder, where)
        targets = needed_targets(record["system"])
        with open_clips(test_file) as clips:
            evaluated_on = clips.attrs["dataset"]
            classes = clips.attrs["classes"]
        about = {
            "dataset": record["dataset"],
            "system": record["system"]["name"],
            "seed": record["seed"],
        }
        scores = open_up(
            objective,
            split.load_split(test_file, test_flow, flow_backward_store=test_back, targets=targets),
            split.load_split(
                fit_file, fit_flow, args.fit_rows, flow_backward_store=fit_back, targets=targets
            ),
            store,
            {**about, "evaluated_on": evaluated_on, "classes": classes},
            rows=args.rows,
            policy=(
                args.pooling[0] if len(args.pooling) == 1 else [int(size) for size in args.pooling]
            ),
            dtype=args.dtype,
            device=where,
        )
        rows = [("test", *item) for item in scores.items()]
        if rows and evaluated_on == record["dataset"]:
            fed = flow_inputs(record["system"]["inputs"], record["system"]["flow"])
            how = {
                "flows": fed,
                "targets": targets,
                "seed": record["experiment_seed"],
                "device": where,
            }
            rows += control_scores(objective, test_file, args.controls, **how)
        write_rows(table, ("split", "metric", "value"), rows)
    del slots


if __name__ == "__main__":
    run(main)
