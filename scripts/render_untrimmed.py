"""Render one split of untrimmed videos of a version of BouncingMNIST to HDF5."""

import argparse
import json
from dataclasses import asdict

from vidrep.command_line import run
from vidrep.datasets.recipes import BouncingRecipe
from vidrep.datasets.store import write_clips
from vidrep.datasets.untrimmed import SPLITS, UntrimmedRecipe, render_untrimmed
from vidrep.digits.source import read_digits


def main() -> None:
    """Read the command line, render, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--definition",
        required=True,
        type=json.loads,
        help="the data set whose clips are the activities, as JSON: name, recipe, classes",
    )
    parser.add_argument(
        "--split", required=True, choices=SPLITS, help="which digits and which random streams"
    )
    parser.add_argument("--count", required=True, type=int, help="number of videos")
    parser.add_argument(
        "--frames",
        required=True,
        type=int,
        nargs=2,
        help="frames of the shortest and of the longest video",
    )
    parser.add_argument(
        "--piece",
        required=True,
        type=int,
        help="frames of the shortest segment or stretch of background",
    )
    parser.add_argument(
        "--background-step",
        required=True,
        type=float,
        help="movement in the background, share of the free range",
    )
    parser.add_argument("--fps", required=True, type=float, help="frames a second")
    parser.add_argument("--seed", required=True, type=int, help="experiment seed")
    parser.add_argument("--digits", required=True, help="digits, as split_digits.py writes them")
    parser.add_argument("--output", required=True, help="the .h5 file to write")
    args = parser.parse_args()
    shortest, longest = args.frames
    name = args.definition["name"]
    version = BouncingRecipe(**{**args.definition["recipe"], "frames": longest})
    activities = 2 if args.split == "test_two_activities" else 1
    videos = UntrimmedRecipe(version, shortest, args.piece, args.background_step, activities)
    digits = read_digits(args.digits)
    rendered = render_untrimmed(videos, digits, args.split, args.count, args.seed)
    del rendered["corners"]
    attrs = {
        "dataset": f"{name}_untrimmed",
        "split": args.split,
        "seed": args.seed,
        "recipe": {"name": name, **asdict(videos)},
        "digit_source": digits.name,
        "digit_sha256": digits.sha256,
        "multi_label": activities > 1,
        "classes": args.definition["classes"],
        "fps": args.fps,
    }
    write_clips(args.output, rendered, attrs)


if __name__ == "__main__":
    run(main)
