"""Draw which layers of every two systems correspond, a figure per evaluation set."""

from vidrep.command_line import run
from vidrep.report.drawing import figure_parser
from vidrep.report.layer_matches import matches_figure
from vidrep.report.style import save
from vidrep.report.tables import read_table
from vidrep.structure.collect import KEYS
from vidrep.structure.layers import MATCH_COLUMNS


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "datasets", "families", "folder")
    parser.add_argument("--matches", required=True, help="table of matching layers (layer_matches.csv)")
    args = parser.parse_args()
    table = read_table(args.matches, (*KEYS, *MATCH_COLUMNS))
    for dataset in args.datasets:
        rows = table[table["evaluated_on"] == dataset]
        save(matches_figure(rows, dataset, rows["measure"].iloc[0], args.families), args.output / f"{dataset}.png")


if __name__ == "__main__":
    run(main)
