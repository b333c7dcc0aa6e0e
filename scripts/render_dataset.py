"""Render one split of a data set to HDF5: a version of BouncingMNIST, or sequences that follow one
script.
"""

import argparse
from dataclasses import asdict

from vidrep.command_line import run
from vidrep.datasets.recipes import recipe, sequence_recipe, versions
from vidrep.datasets.render import render_split
from vidrep.datasets.store import write_clips
from vidrep.digits import SPLITS, read_digits


def main() -> None:
    """Read the command line, render, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dataset",
        required=True,
        choices=[*versions("bouncing"), *versions("sequences")],
        help="the version",
    )
    parser.add_argument(
        "--split", required=True, choices=SPLITS, help="which digits and which random streams"
    )
    parser.add_argument("--count", required=True, type=int, help="number of clips")
    parser.add_argument("--frames", required=True, type=int, help="frames per clip")
    parser.add_argument("--size", required=True, type=int, help="side of the canvas in pixels")
    parser.add_argument("--patch", required=True, type=int, help="side of a digit in pixels")
    parser.add_argument(
        "--jitter", type=float, help="sequences: how far places vary, share of the free range"
    )
    parser.add_argument(
        "--warp",
        type=float,
        help="sequences: spread of the pace, standard deviation of its logarithm",
    )
    parser.add_argument("--seed", required=True, type=int, help="experiment seed")
    parser.add_argument("--digits", required=True, help="digits, as split_digits.py writes them")
    parser.add_argument("--output", required=True, help="the .h5 file to write")
    args = parser.parse_args()
    if args.count < 1:
        raise ValueError(f"--count must be at least 1, got {args.count}")
    sizes = {"frames": args.frames, "size": args.size, "patch": args.patch}
    if args.dataset in versions("sequences"):
        if args.jitter is None or args.warp is None:
            raise ValueError(
                f"--dataset {args.dataset}: give --jitter and --warp, which sequences need"
            )
        version = sequence_recipe(args.dataset, **sizes, jitter=args.jitter, warp=args.warp)
    else:
        version = recipe(args.dataset, **sizes)
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
    write_clips(
        args.output, render_split(version, digits, args.split, args.count, args.seed), attrs
    )


if __name__ == "__main__":
    run(main)
