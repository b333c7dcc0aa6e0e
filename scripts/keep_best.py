"""Remove activations and kernels of all but the best runs, and list what was removed.

The best are those of each system on each data set.
"""

from pathlib import Path

from vidrep.command_line import make_parser, run
from vidrep.retention import keep_best


def main() -> None:
    """Read the command line, remove, write the list."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--records", required=True, nargs="+", type=Path, help="run.json of all trained runs"
    )
    parser.add_argument("--results", required=True, type=Path, help="the experiment's folder")
    parser.add_argument(
        "--output", required=True, type=Path, help="the CSV file to write: file, bytes"
    )
    args = parser.parse_args()
    keep_best(args.results, args.records, args.output)


if __name__ == "__main__":
    run(main)
