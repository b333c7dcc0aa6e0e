"""Draw the map and the tree of the embeddings of all runs, a figure per evaluation set."""

from pathlib import Path

from vidrep.command_line import run
from vidrep.report.drawing import add_verdicts_option, figure_parser
from vidrep.report.map import map_figure
from vidrep.report.style import save
from vidrep.result_tables import read_table
from vidrep.similarity.verdicts import read_verdicts
from vidrep.similarity_analysis.files import BRANCHES, PLACES


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "families", "folder")
    parser.add_argument(
        "--places",
        required=True,
        nargs="+",
        type=Path,
        help="<evaluation set>/places.csv of each set",
    )
    parser.add_argument(
        "--branches",
        required=True,
        nargs="+",
        type=Path,
        help="<evaluation set>/branches.csv of each set",
    )
    parser.add_argument("--measure", required=True, help="whose distances are shown")
    add_verdicts_option(parser)
    args = parser.parse_args()
    verdicts = read_verdicts(args.verdicts)
    for places, branches in zip(args.places, args.branches, strict=True):
        tables = read_table(places, PLACES), read_table(branches, BRANCHES)
        save(
            map_figure(*tables, places.parent.name, args.measure, args.families, verdicts),
            args.output / f"{places.parent.name}.png",
        )


if __name__ == "__main__":
    run(main)
