"""Let runs generate test clips of data sets, their own first: pictures of a few, scores of all."""

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

    from vidrep.training import device

    where = device.choose(args.gpus, "float32", args.threads)
    sets = list(zip(args.test, args.train, strict=True))
    sets_of_runs = [sets] if len(args.runs) == 1 else [[one] for one in sets]
    outputs = zip(args.frames, args.scores, args.verdict, strict=True)
    about = zip(args.true_flow, args.train_clips, strict=True)
    jobs = zip(args.runs, sets_of_runs, about, outputs, strict=True)
    for folder, of_run, (true_flow, train_clips), files in jobs:
        generate_and_score(
            folder,
            of_run,
            files,
            where,
            count=args.count,
            true_flow=None if true_flow == "none" else true_flow,
            train_clips=train_clips,
        )
    del slots


def generate_and_score(
    folder: Path,
    sets: list[tuple],
    files: tuple[Path, Path, Path],
    where,
    *,
    count: int,
    true_flow: str | None,
    train_clips: int,
) -> None:
    """Write the pictures, scores and verdicts of one run, on pairs of test and training clips."""
    from vidrep.flow.store import open_flow
    from vidrep.generation import baselines, generate, scores, verdict
    from vidrep.training.run import load_run
    from vidrep.training.split import load_split

    frames_file, scores_file, verdict_file = files
    objective, record = load_run(folder, where)
    system = record["system"]
    epochs = 0 if record["seed"] == UNTRAINED else sum(system["recipe"]["epochs"])
    clips_seen = train_clips * epochs
    rows = []
    verdicts = []
    for place, (test, train) in enumerate(sets):
        clips = load_split(test)
        if place == 0:
            flow = open_flow(true_flow).flow[:count] if true_flow else None
            generate.write_generated(
                frames_file, objective, clips, where, count=count, true_flow=flow
            )
        keys = (system["name"], record["dataset"], test.clips.parent.name, record["seed"])
        mean_clip = baselines.mean_training_clip(train)
        found, errors = scores.score_run(objective, clips, mean_clip, where, clips_seen)
        rows += [keys + row for row in found]
        if errors:
            verdicts.append(keys + verdict.verdict_row(errors, clips.groups))
    write_rows(scores_file, (*KEYS, *scores.SCORE_COLUMNS), rows)
    write_rows(verdict_file, (*KEYS, *verdict.VERDICT_COLUMNS), verdicts)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--runs", required=True, nargs="+", type=Path, help="folder of the run, or one of each set"
    )
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
        required=True,
        nargs="+",
        help="true flow of each run's own test clips (.zarr), shown beside the generated flow, or"
        " none",
    )
    parser.add_argument("--count", required=True, type=int, help="clips to show")
    parser.add_argument(
        "--train-clips",
        required=True,
        nargs="+",
        type=int,
        help="clips that each run was trained on, seen once an epoch",
    )
    add_device_options(parser)
    outputs = {
        "frames": "the .h5 file of pictures to write",
        "scores": "the .csv file of scores to write",
        "verdict": "the .csv file to write: does the run predict?",
    }
    for name, what in outputs.items():
        parser.add_argument(
            f"--{name}", required=True, nargs="+", type=Path, help=f"of each run {what}"
        )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
