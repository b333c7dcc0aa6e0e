"""Collect the probes of all runs: what they answered, and how often that is right."""

from vidrep.command_line import make_parser, run
from vidrep.result_tables import write_table
from vidrep.tables import balanced_accuracies, collect


def main() -> None:
    """Read the command line, collect, write both tables."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--parts",
        required=True,
        nargs="+",
        help="<evaluated on>/<trained on>--<system>--seed<seed>.csv of all runs, counts",
    )
    parser.add_argument(
        "--probes", required=True, help="the .csv table of balanced accuracies to write"
    )
    parser.add_argument(
        "--confusion", required=True, help="the .csv table of confusion counts to write"
    )
    args = parser.parse_args()
    counts = collect(args.parts)
    write_table(balanced_accuracies(counts), args.probes)
    write_table(counts, args.confusion)


if __name__ == "__main__":
    run(main)
