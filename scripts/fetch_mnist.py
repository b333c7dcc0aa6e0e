"""Fetch one archive of MNIST from the first mirror that delivers it whole, and verify it."""

import argparse

from vidrep.command_line import run
from vidrep.digits.fetch import FILES, fetch


def main() -> None:
    """Read the command line, fetch, say which mirror served the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", required=True, choices=FILES, help="which archive")
    parser.add_argument(
        "--mirrors",
        required=True,
        nargs="+",
        metavar="URL",
        help="folders that hold it, tried in this order",
    )
    parser.add_argument("--output", required=True, help="where the archive goes")
    args = parser.parse_args()
    print(f"{args.file}: fetched from {fetch(args.file, args.mirrors, args.output)}")


if __name__ == "__main__":
    run(main)
