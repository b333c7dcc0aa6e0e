"""Draw how alike runs answer, and how well a run's head reads another's features: a figure per
evaluation set.
"""

from pathlib import Path

from vidrep.command_line import run
from vidrep.report.drawing import figure_parser
from vidrep.report.functional import functional_figure
from vidrep.report.style import save
from vidrep.result_tables import read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "families", "folder")
    parser.add_argument(
        "--tables",
        required=True,
        nargs="+",
        type=Path,
        help="functional comparisons, <evaluation set>.csv",
    )
    args = parser.parse_args()
    for path in args.tables:
        table = read_table(path, ("run_a", "run_b", "metric", "value", "n"))
        save(functional_figure(table, path.stem, args.families), args.output / f"{path.stem}.png")


if __name__ == "__main__":
    run(main)
