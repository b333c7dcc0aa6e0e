"""Draw how well the videos of each data set of sequences are aligned, by runs and by baselines."""

from vidrep.command_line import run
from vidrep.report.alignment import alignment_figure
from vidrep.report.drawing import figure_parser
from vidrep.report.style import looks, save
from vidrep.result_tables import read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "datasets", "families", "folder")
    parser.add_argument(
        "--alignment", required=True, help="table of alignment scores (alignment.csv)"
    )
    parser.add_argument("--videos", required=True, type=int, help="test videos that were aligned")
    args = parser.parse_args()
    columns = (
        "system",
        "trained_on",
        "evaluated_on",
        "seed",
        "metric",
        "labelled_videos",
        "value",
        "ci_low",
        "ci_high",
    )
    table = read_table(args.alignment, columns)
    for dataset in args.datasets:
        save(
            alignment_figure(table, dataset, looks(args.families), args.videos),
            args.output / f"{dataset}.png",
        )


if __name__ == "__main__":
    run(main)
