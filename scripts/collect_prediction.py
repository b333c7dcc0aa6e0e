"""Concatenate tables that carry their keys: scores of generated frames, or verdicts on them."""

from vidrep.command_line import make_parser, run
from vidrep.result_tables import write_table
from vidrep.tables import join


def main() -> None:
    """Read the command line, join, write."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--parts", required=True, nargs="+", help="tables (.csv) with the same columns"
    )
    parser.add_argument("--output", required=True, help="the .csv table to write")
    args = parser.parse_args()
    write_table(join(args.parts), args.output)


if __name__ == "__main__":
    run(main)
