"""Draw the transfer matrix of every system: trained on one version, tested on another."""

import argparse
import json

from vidrep.command_line import run
from vidrep.report.accuracy import transfer_figure
from vidrep.report.style import looks, save
from vidrep.report.tables import clip_counts, read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accuracy", required=True, help="table of accuracies (accuracy.csv)")
    parser.add_argument("--clips", required=True, nargs="+", help="<data set>/test.h5 of each version, for the number of clips")
    parser.add_argument("--families", required=True, type=json.loads, help="family of each system, as JSON")
    parser.add_argument("--output", required=True, help="the .png file to write; a .pdf goes beside it")
    args = parser.parse_args()
    table = read_table(args.accuracy, ("system", "trained_on", "evaluated_on", "seed", "split", "metric", "value"))
    save(transfer_figure(table, clip_counts(args.clips), looks(args.families)), args.output)


if __name__ == "__main__":
    run(main)
