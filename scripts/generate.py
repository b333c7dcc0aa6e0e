"""Let a run generate test clips of data sets, its own first: pictures of a few, scores of all."""

import argparse
from pathlib import Path

from vidrep.command_line import add_device_options, make_parser, run, split_files
from vidrep.result_tables import KEYS, write_rows
from vidrep.runs import UNTRAINED
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, generate, score, write."""
    args = parse()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.flow.store import open_flow
    from vidrep.generation import baselines, generate, scores, verdict
    from vidrep.training import device
    from vidrep.training.run import load_run
    from vidrep.training.split import load_split

    where = device.choose(args.gpus, "float32", args.threads)
    objective, record = load_run(args.run, where)
    system = record["system"]
    epochs = 0 if record["seed"] == UNTRAINED else sum(system["recipe"]["epochs"])
    clips_seen = args.train_clips * epochs
    rows = []
    verdicts = []
    for test, train in zip(args.test, args.train, strict=True):
        clips = load_split(test)
        if test == args.test[0]:
            true_flow = open_flow(args.true_flow).flow[: args.count] if args.true_flow else None
            generate.write_generated(
                args.frames, objective, clips, where, count=args.count, true_flow=true_flow
            )
        keys = (system["name"], record["dataset"], test.clips.parent.name, record["seed"])
        mean_clip = baselines.mean_training_clip(train)
        found, errors = scores.score_run(objective, clips, mean_clip, where, clips_seen)
        rows += [keys + row for row in found]
        if errors:
            verdicts.append(keys + verdict.verdict_row(errors, clips.groups))
    write_rows(args.scores, (*KEYS, *scores.SCORE_COLUMNS), rows)
    write_rows(args.verdict, (*KEYS, *verdict.VERDICT_COLUMNS), verdicts)
    del slots


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument(
        "--test",
        required=True,
        nargs="+",
        type=split_files,
        help="test clips of each data set, its own first: CLIPS.h5[,flow=STORE.zarr]"
        "[,flow_backward=STORE.zarr]",
    )
    parser.add_argument(
        "--train",
        required=True,
        nargs="+",
        help="their training clips (.h5), of which the mean frames are taken",
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
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
