"""Draw the learning curves of all runs, a figure per data set."""

from vidrep.command_line import run
from vidrep.report.curves import learning_figure
from vidrep.report.drawing import figure_parser
from vidrep.report.style import looks, save
from vidrep.report.tables import read_histories


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "datasets", "families", "folder")
    parser.add_argument(
        "--histories",
        required=True,
        nargs="+",
        help="<data set>/<system>/seed<seed>/history.csv of each run",
    )
    args = parser.parse_args()
    histories = read_histories(args.histories)
    for dataset in args.datasets:
        save(
            learning_figure(histories, dataset, looks(args.families)),
            args.output / f"{dataset}.png",
        )


if __name__ == "__main__":
    run(main)
