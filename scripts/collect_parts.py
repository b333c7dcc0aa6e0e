"""Collect the small tables of all runs on all evaluation sets into one."""

from vidrep.command_line import make_parser, run
from vidrep.result_tables import write_table
from vidrep.tables import collect


def main() -> None:
    """Read the command line, collect, write."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--parts",
        required=True,
        nargs="+",
        help="<evaluated on>/<trained on>--<system>--seed<seed>.csv of all runs",
    )
    parser.add_argument("--output", required=True, help="the .csv table to write")
    args = parser.parse_args()
    write_table(collect(args.parts), args.output)


if __name__ == "__main__":
    run(main)
