"""Draw the confusion matrices of the probes of every system's embedding, a figure per evaluation
set.
"""

from vidrep.command_line import run
from vidrep.report.confusion import confusion_figure
from vidrep.report.drawing import figure_parser
from vidrep.report.style import looks, save
from vidrep.result_tables import read_table


def main() -> None:
    """Read the command line, draw, write."""
    args = figure_parser(__doc__, "confusion", "datasets", "families", "folder").parse_args()
    columns = (
        "system",
        "trained_on",
        "evaluated_on",
        "seed",
        "layer",
        "factor",
        "truth",
        "predicted",
        "count",
    )
    confusion = read_table(args.confusion, columns)
    for dataset in args.datasets:
        save(
            confusion_figure(confusion, dataset, looks(args.families)),
            args.output / f"{dataset}.png",
        )


if __name__ == "__main__":
    run(main)
