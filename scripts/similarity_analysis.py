"""What the similarity tables of all evaluation sets mean.

Variance shares, agreement, matching layers, training versions.
"""

import json
from pathlib import Path

from vidrep.command_line import make_parser, run
from vidrep.result_tables import write_table
from vidrep.similarity_analysis.collect import collect


def main() -> None:
    """Read the command line, compute, write the four tables."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--tables",
        required=True,
        nargs="+",
        type=Path,
        help="similarity tables, <evaluation set>/<measure>.csv",
    )
    parser.add_argument(
        "--factors", required=True, type=json.loads, help="properties of each system, as JSON"
    )
    parser.add_argument("--measure", required=True, help="the measure by which layers are matched")
    parser.add_argument("--seed", type=int, default=0, help="experiment seed (default: 0)")
    parser.add_argument("--output", required=True, type=Path, help="folder to write the tables to")
    args = parser.parse_args()
    for name, table in collect(args.tables, args.factors, args.measure, args.seed).items():
        write_table(table, args.output / f"{name}.csv")


if __name__ == "__main__":
    run(main)
