"""Collect what each system costs, as its runs recorded it: size, speed and memory."""

from vidrep.command_line import make_parser, run
from vidrep.result_tables import write_table
from vidrep.tables import cost


def main() -> None:
    """Read the command line, collect, write."""
    parser = make_parser(__doc__)
    parser.add_argument("--records", required=True, nargs="+", help="run.json of all trained runs")
    parser.add_argument("--output", required=True, help="the .csv table to write")
    args = parser.parse_args()
    write_table(cost(args.records), args.output)


if __name__ == "__main__":
    run(main)
