"""Draw the confusion matrices of the probes of every system's embedding, a figure per evaluation set."""

import argparse
import json
from pathlib import Path

from vidrep.command_line import run
from vidrep.report.confusion import confusion_figure
from vidrep.report.style import looks, save
from vidrep.report.tables import read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--confusion", required=True, help="table of confusion counts (confusion.csv)")
    parser.add_argument("--datasets", required=True, nargs="+", help="evaluation sets to draw")
    parser.add_argument("--families", required=True, type=json.loads, help="family of each system, as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to: one .png and one .pdf per evaluation set")
    args = parser.parse_args()
    columns = ("system", "trained_on", "evaluated_on", "seed", "layer", "factor", "truth", "predicted", "count")
    confusion = read_table(args.confusion, columns)
    for dataset in args.datasets:
        save(confusion_figure(confusion, dataset, looks(args.families)), args.output / f"{dataset}.png")


if __name__ == "__main__":
    run(main)
