"""Concatenate the small tables of all runs into one."""

from vidrep.command_line import make_parser, run
from vidrep.result_tables import write_table
from vidrep.tables import KEYS, collect, join


def main() -> None:
    """Read the command line, concatenate, write."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--parts", required=True, nargs="+", help="tables (.csv) with the same columns"
    )
    parser.add_argument(
        "--keys",
        nargs="+",
        choices=KEYS,
        help="columns to put first, from the places of the parts:"
        " <evaluated on>/<trained on>--<system>--seed<seed>.csv; without: the parts have them",
    )
    parser.add_argument("--output", required=True, help="the .csv table to write")
    args = parser.parse_args()
    table = collect(args.parts, args.keys) if args.keys else join(args.parts)
    write_table(table, args.output)


if __name__ == "__main__":
    run(main)
