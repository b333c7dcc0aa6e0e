"""Draw the learning curves of all runs, a figure per data set."""

import argparse
import json
from pathlib import Path

from vidrep.command_line import run
from vidrep.report.curves import learning_figure
from vidrep.report.style import looks, save
from vidrep.report.tables import read_histories


def main() -> None:
    """Read the command line, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", required=True, nargs="+", help="<data set>/<system>/seed<seed>/history.csv of each run")
    parser.add_argument("--datasets", required=True, nargs="+", help="data sets to draw")
    parser.add_argument("--families", required=True, type=json.loads, help="family of each system, as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to: one .png and one .pdf per data set")
    args = parser.parse_args()
    histories = read_histories(args.histories)
    for dataset in args.datasets:
        save(learning_figure(histories, dataset, looks(args.families)), args.output / f"{dataset}.png")


if __name__ == "__main__":
    run(main)
