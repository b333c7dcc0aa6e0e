"""Decode a data set of videos, which are only read: clips of each split, a table of every file."""

import argparse
import json
import sys
from pathlib import Path

from vidrep.command_line import run
from vidrep.splits import SPLITS


def main() -> None:
    """Read the command line, decode, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--definition",
        required=True,
        type=json.loads,
        help="the data set as JSON: name, kind, recipe, classes, multi_label",
    )
    parser.add_argument("--seed", required=True, type=int, help="experiment seed")
    parser.add_argument("--workers", type=int, default=1, help="processes that decode (default: 1)")
    for split in SPLITS:
        parser.add_argument(f"--{split}", required=True, type=Path, help="the .h5 file to write")
    parser.add_argument("--table", required=True, type=Path, help="the .csv file of all files")
    args = parser.parse_args()
    try:
        from vidrep.datasets.videos.ingest import ingest
    except ModuleNotFoundError as error:
        raise ValueError(f"videos are decoded with PyAV: pip install av ({error})") from None
    ingest(
        args.definition,
        args.seed,
        {split: getattr(args, split) for split in SPLITS},
        args.table,
        workers=args.workers,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )


if __name__ == "__main__":
    run(main)
