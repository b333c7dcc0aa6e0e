"""Render one split of a version of BouncingMNIST to HDF5."""

import argparse
from dataclasses import asdict

from vidrep.command_line import run
from vidrep.datasets import RECIPES, recipe, render_split, write_clips
from vidrep.digits import SPLITS, read_digits


def main() -> None:
    """Read the command line, render, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, choices=RECIPES, help="the version")
    parser.add_argument("--split", required=True, choices=SPLITS, help="which digits and which random streams")
    parser.add_argument("--count", required=True, type=int, help="number of clips")
    parser.add_argument("--frames", required=True, type=int, help="frames per clip")
    parser.add_argument("--size", required=True, type=int, help="side of the canvas in pixels")
    parser.add_argument("--patch", required=True, type=int, help="side of a digit in pixels")
    parser.add_argument("--seed", required=True, type=int, help="experiment seed")
    parser.add_argument("--digits", required=True, help="digits, as split_digits.py writes them")
    parser.add_argument("--output", required=True, help="the .h5 file to write")
    args = parser.parse_args()
    if args.count < 1:
        raise ValueError(f"--count must be at least 1, got {args.count}")
    version = recipe(args.dataset, frames=args.frames, size=args.size, patch=args.patch)
    digits = read_digits(args.digits)
    attrs = {
        "dataset": args.dataset,
        "split": args.split,
        "seed": args.seed,
        "recipe": {"name": args.dataset, **asdict(version)},
        "digit_source": digits.name,
        "digit_sha256": digits.sha256,
        "multi_label": True,
        "classes": [str(label) for label in range(10)],
    }
    write_clips(args.output, render_split(version, digits, args.split, args.count, args.seed), attrs)


if __name__ == "__main__":
    run(main)
