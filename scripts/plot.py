"""Draw figures of the report; ``plot.py FIGURE --help`` tells what it is drawn from.

Further figures stand behind a +.
"""

import importlib
import sys

from vidrep.command_line import run
from vidrep.report.command_line import draw_options, figure_parser, items, parse
from vidrep.report.writing import write


def main() -> None:
    """Read the command line, draw and write each file of each figure."""
    # by name, so that the digest of this script leaves out the list of figures and their modules
    figures = importlib.import_module("vidrep.report.figures").FIGURES
    for args in parse(figure_parser(__doc__, figures), sys.argv[1:]):
        figure = next(figure for figure in figures if figure.name == args.figure)
        draw = importlib.import_module(figure.module).draw
        for item in items(figure, args):
            drawn = draw(**draw_options(figure, args, item))
            write(drawn, args.output / figure.stem(item))


if __name__ == "__main__":
    run(main)
