"""Draw how alike the layers of one system are after training on different data, a figure per evaluation set."""

from vidrep.command_line import run
from vidrep.report.drawing import figure_parser
from vidrep.report.style import save
from vidrep.report.tables import read_table
from vidrep.report.versions import versions_figure
from vidrep.structure.collect import KEYS
from vidrep.structure.layers import VERSION_COLUMNS


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "datasets", "families", "folder")
    parser.add_argument("--versions", required=True, help="table of layers after training on different data (versions.csv)")
    args = parser.parse_args()
    table = read_table(args.versions, (*KEYS, *VERSION_COLUMNS))
    for dataset in args.datasets:
        rows = table[table["evaluated_on"] == dataset]
        figure = versions_figure(rows, dataset, rows["measure"].iloc[0], list(args.families))
        save(figure, args.output / f"{dataset}.png")


if __name__ == "__main__":
    run(main)
