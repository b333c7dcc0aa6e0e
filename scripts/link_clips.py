"""Check a file of clips of your own and link it into an experiment; the file is only read."""

import argparse

from vidrep.command_line import run
from vidrep.datasets.links import link_clips
from vidrep.splits import SPLITS


def main() -> None:
    """Read the command line, check, link."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", required=True, help="your .h5 file of clips")
    parser.add_argument("--dataset", required=True, help="name of the data set")
    parser.add_argument("--split", required=True, choices=SPLITS, help="which split it is")
    parser.add_argument("--output", required=True, help="the .h5 file to write")
    args = parser.parse_args()
    link_clips(args.file, args.output, dataset=args.dataset, split=args.split)


if __name__ == "__main__":
    run(main)
