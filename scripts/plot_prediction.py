"""Draw the scores of generated frames along the clip, a figure per data set."""

from vidrep.command_line import run
from vidrep.datasets.store import clip_counts
from vidrep.report.drawing import figure_parser
from vidrep.report.prediction import prediction_figure
from vidrep.report.style import looks, save
from vidrep.result_tables import read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "clips", "datasets", "families", "folder")
    parser.add_argument("--prediction", required=True, help="table of scores (prediction.csv)")
    parser.add_argument(
        "--verdicts", required=True, help="table of verdicts (prediction_verdict.csv)"
    )
    args = parser.parse_args()
    keys = ("system", "trained_on", "evaluated_on", "seed")
    table = read_table(args.prediction, (*keys, "part", "observed", "horizon", "metric", "value"))
    verdicts = read_table(args.verdicts, (*keys, "verdict"))
    clips = clip_counts(args.clips)
    for dataset in args.datasets:
        figure = prediction_figure(table, verdicts, dataset, clips[dataset], looks(args.families))
        save(figure, args.output / f"{dataset}.png")


if __name__ == "__main__":
    run(main)
