"""Load a digit source, resample it and split its images into train, validation and test."""

import argparse

from vidrep.command_line import run
from vidrep.digits.source import load_digits, write_digits


def main() -> None:
    """Read the command line, load, split, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kind", required=True, choices=["sklearn", "mnist", "idx"], help="kind of source"
    )
    parser.add_argument("--folder", help="mnist: folder with the four .gz archives")
    parser.add_argument("--images", help="idx: file of images (.gz or plain)")
    parser.add_argument("--labels", help="idx: file of labels (.gz or plain)")
    parser.add_argument("--name", help="idx: what the source is called in files and figures")
    parser.add_argument(
        "--patch", type=int, help="side of a digit in pixels (default: the source's own)"
    )
    parser.add_argument("--seed", required=True, type=int, help="experiment seed")
    parser.add_argument("--output", required=True, help="the .npz file to write")
    args = parser.parse_args()
    keys = ("kind", "folder", "images", "labels", "name")
    source = {key: getattr(args, key) for key in keys if getattr(args, key) is not None}
    digits = load_digits(source, patch=args.patch, seed=args.seed)
    write_digits(digits, args.output)
    sizes = ", ".join(f"{len(indices)} {name}" for name, indices in digits.splits.items())
    print(f"{digits.name}: {sizes} images of {digits.patch} x {digits.patch} px")


if __name__ == "__main__":
    run(main)
