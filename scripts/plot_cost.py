"""Draw test accuracy against what a system costs."""

from vidrep.command_line import run
from vidrep.datasets.store import clip_counts
from vidrep.report.accuracy import cost_figure
from vidrep.report.drawing import ACCURACY_COLUMNS, figure_parser
from vidrep.report.style import looks, save
from vidrep.result_tables import read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "accuracy", "clips", "families", "output")
    parser.add_argument("--cost", required=True, help="table of costs (cost.csv)")
    args = parser.parse_args()
    accuracy = read_table(args.accuracy, ACCURACY_COLUMNS)
    cost = read_table(args.cost, ("system", "parameters", "macs_per_clip"))
    save(cost_figure(accuracy, cost, clip_counts(args.clips), looks(args.families)), args.output)


if __name__ == "__main__":
    run(main)
