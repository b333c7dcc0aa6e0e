"""Generate frames of test clips with a run: some as pictures beside the truth, scores of all."""

import argparse
from pathlib import Path

from vidrep.command_line import add_device_options, run
from vidrep.result_tables import write_rows
from vidrep.runs import UNTRAINED
from vidrep.tables import KEYS
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, generate, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument(
        "--test",
        required=True,
        nargs="+",
        type=Path,
        help="test clips (.h5) of each data set, its own first",
    )
    parser.add_argument(
        "--train",
        required=True,
        nargs="+",
        help="their training clips (.h5), of which the mean frame is taken",
    )
    parser.add_argument(
        "--test-flow",
        nargs="+",
        help="flow of the test clips (.zarr), for systems that are fed flow",
    )
    parser.add_argument(
        "--test-flow-backward",
        nargs="+",
        help="backward flow of the test clips, for systems that are fed it",
    )
    parser.add_argument(
        "--true-flow",
        help="true flow of the run's own test clips (.zarr), shown beside the generated flow",
    )
    parser.add_argument("--count", required=True, type=int, help="clips to show")
    parser.add_argument(
        "--train-clips",
        required=True,
        type=int,
        help="clips that the run was trained on, seen once an epoch",
    )
    add_device_options(parser)
    parser.add_argument(
        "--frames", required=True, type=Path, help="the .h5 file of pictures to write"
    )
    parser.add_argument(
        "--scores", required=True, type=Path, help="the .csv file of scores to write"
    )
    parser.add_argument(
        "--verdict", required=True, type=Path, help="the .csv file to write: does the run predict?"
    )
    args = parser.parse_args()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.flow.store import open_flow
    from vidrep.generation import baselines, generate, scores, verdict
    from vidrep.training import device, split
    from vidrep.training.run import load_run

    where = device.choose(args.gpus, "float32", args.threads)
    objective, record = load_run(args.run, where)
    epochs = 0 if record["seed"] == UNTRAINED else sum(record["system"]["recipe"]["epochs"])
    flows = [
        stores or [None] * len(args.test) for stores in (args.test_flow, args.test_flow_backward)
    ]
    rows = []
    verdicts = []
    for test, train, flow, flow_backward in zip(args.test, args.train, *flows, strict=True):
        clips = split.load_split(test, flow, flow_backward_store=flow_backward)
        if test == args.test[0]:
            true_flow = open_flow(args.true_flow).flow[: args.count] if args.true_flow else None
            generate.write_generated(
                args.frames, objective, clips, where, count=args.count, true_flow=true_flow
            )
        keys = (record["system"]["name"], record["dataset"], test.parent.name, record["seed"])
        mean_frame = baselines.mean_training_frame(train)
        found, errors = scores.score_run(
            objective, clips, mean_frame, where, args.train_clips * epochs
        )
        rows += [keys + row for row in found]
        verdicts += [keys + verdict.verdict_row(errors)] if errors else []
    write_rows(args.scores, (*KEYS, *scores.SCORE_COLUMNS), rows)
    write_rows(args.verdict, (*KEYS, *verdict.VERDICT_COLUMNS), verdicts)
    del slots


if __name__ == "__main__":
    run(main)
