"""Render one split of a data set to HDF5."""

import argparse
import importlib
import json

from vidrep.command_line import run
from vidrep.datasets.store import write_clips
from vidrep.digits.source import SPLITS, read_digits
from vidrep.naming import resolve


def main() -> None:
    """Read the command line, render, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--definition",
        required=True,
        type=json.loads,
        help="the data set as JSON: name, kind, recipe, classes, multi_label",
    )
    parser.add_argument(
        "--split", required=True, choices=SPLITS, help="which digits and which random streams"
    )
    parser.add_argument("--count", required=True, type=int, help="number of clips")
    parser.add_argument("--seed", required=True, type=int, help="experiment seed")
    parser.add_argument("--digits", help="digits, as split_digits.py writes them, where needed")
    parser.add_argument("--output", required=True, help="the .h5 file to write")
    args = parser.parse_args()
    if args.count < 1:
        raise ValueError(f"--count must be at least 1, got {args.count}")
    definition = args.definition
    # by name, so that the digest of this script leaves out the list of kinds and other kinds
    kinds = importlib.import_module("vidrep.datasets.declared").KINDS
    kind = kinds[definition["kind"]]
    render = resolve(kind.renderer, {}, "renderer")
    recipe = kind.recipe(**definition["recipe"])
    digits = read_digits(args.digits) if args.digits else None
    rendered = render(recipe, digits, args.split, args.count, args.seed)
    attrs = {
        "dataset": definition["name"],
        "split": args.split,
        "seed": args.seed,
        "recipe": {"name": definition["name"], **definition["recipe"]},
        "multi_label": definition["multi_label"],
        "classes": definition["classes"],
    }
    if digits is not None:
        attrs |= {"digit_source": digits.name, "digit_sha256": digits.sha256}
    write_clips(args.output, rendered, attrs)


if __name__ == "__main__":
    run(main)
