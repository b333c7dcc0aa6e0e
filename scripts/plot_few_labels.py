"""Draw accuracy against the number of labelled training clips."""

import json

from vidrep.command_line import run
from vidrep.datasets.store import clip_counts
from vidrep.report.drawing import ACCURACY_COLUMNS, figure_parser
from vidrep.report.few_labels import few_labels_figure
from vidrep.report.style import looks, save
from vidrep.result_tables import read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "accuracy", "clips", "families", "output")
    parser.add_argument(
        "--lines",
        required=True,
        type=json.loads,
        help="name of each line to its systems and their labelled clips, as JSON",
    )
    args = parser.parse_args()
    table = read_table(args.accuracy, ACCURACY_COLUMNS)
    shown_as = looks({name: args.families[next(iter(line))] for name, line in args.lines.items()})
    save(few_labels_figure(table, clip_counts(args.clips), args.lines, shown_as), args.output)


if __name__ == "__main__":
    run(main)
