"""What the scripts that draw share: their options, and the ways from a table to a figure that
several of them go.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from vidrep.command_line import make_parser
from vidrep.datasets.store import clip_counts
from vidrep.report.style import looks, save
from vidrep.result_tables import read_table
from vidrep.similarity.verdicts import read_verdicts

ACCURACY_COLUMNS = ("system", "trained_on", "evaluated_on", "seed", "split", "metric", "value")
_OPTIONS = {
    "accuracy": {"help": "table of accuracies (accuracy.csv)"},
    "clips": {"nargs": "+", "help": "<data set>/test.h5 of each version, for the number of clips"},
    "confusion": {"help": "table of confusion counts (confusion.csv)"},
    "datasets": {"nargs": "+", "help": "data sets to draw"},
    "families": {"type": json.loads, "help": "family of each system, as JSON"},
    "output": {"type": Path, "help": "the .png file to write; a .pdf goes beside it"},
    "folder": {"type": Path, "help": "folder to write to: one .png and one .pdf per data set"},
}


def figure_parser(description: str, *options: str) -> argparse.ArgumentParser:
    """A parser with some of the options that several scripts take; ``folder`` is the ``--output``
    of many figures.
    """
    parser = make_parser(description)
    for name in options:
        parser.add_argument(
            "--output" if name == "folder" else f"--{name}", required=True, **_OPTIONS[name]
        )
    return parser


def add_verdicts_option(parser: argparse.ArgumentParser) -> None:
    """The option ``--verdicts`` of figures of a measure."""
    parser.add_argument(
        "--verdicts", help="table of the tests of measures; without it none counts as judged"
    )


def draw_accuracies(description: str, figure: Callable[..., Figure]) -> None:
    """Read the command line and accuracy.csv, draw ``figure(table, clips, looks)``, write."""
    args = figure_parser(description, "accuracy", "clips", "families", "output").parse_args()
    table = read_table(args.accuracy, ACCURACY_COLUMNS)
    save(figure(table, clip_counts(args.clips), looks(args.families)), args.output)


def draw_layers(
    description: str, name: str, columns: Sequence[str], figure: Callable[..., Figure]
) -> None:
    """Read the command line and a table of layers, draw ``figure(rows, dataset, measure,
    families, verdicts)`` of each data set, write.
    """
    from vidrep.similarity_analysis.collect import KEYS

    parser = figure_parser(description, "datasets", "families", "folder")
    parser.add_argument(f"--{name}", required=True, help=f"table {name}.csv")
    add_verdicts_option(parser)
    args = parser.parse_args()
    verdicts = read_verdicts(args.verdicts)
    table = read_table(getattr(args, name), (*KEYS, *columns))
    for dataset in args.datasets:
        rows = table[table["evaluated_on"] == dataset]
        save(
            figure(rows, dataset, rows["measure"].iloc[0], args.families, verdicts),
            args.output / f"{dataset}.png",
        )


def draw_similarities(description: str, figure: Callable[..., Figure]) -> None:
    """Read the command line and each similarity table, draw ``figure(table, dataset, measure,
    families, verdicts)``, write.
    """
    parser = make_parser(description)
    parser.add_argument(
        "--tables",
        required=True,
        nargs="+",
        type=Path,
        help="similarity tables, <evaluation set>/<measure>.csv",
    )
    parser.add_argument("--families", required=True, **_OPTIONS["families"])
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="folder to write to: <evaluation set>--<measure>.png and .pdf",
    )
    add_verdicts_option(parser)
    args = parser.parse_args()
    verdicts = read_verdicts(args.verdicts)
    for path in args.tables:
        dataset = path.parent.name
        measure = path.stem
        table = read_table(path, ("rep_a", "rep_b", "value", "n"))
        save(
            figure(table, dataset, measure, args.families, verdicts),
            args.output / f"{dataset}--{measure}.png",
        )
