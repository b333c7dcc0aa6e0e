"""Draw what probes read from layer to layer, a figure per evaluation set."""

import argparse
import json
from pathlib import Path

from vidrep.command_line import run
from vidrep.report.curves import probe_figure
from vidrep.report.style import looks, save
from vidrep.report.tables import probed_clips, read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", required=True, help="table of probes (probes.csv)")
    parser.add_argument("--confusion", required=True, help="table of confusion counts (confusion.csv), for the number of clips")
    parser.add_argument("--datasets", required=True, nargs="+", help="evaluation sets to draw")
    parser.add_argument("--families", required=True, type=json.loads, help="family of each system, as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to: one .png and one .pdf per evaluation set")
    args = parser.parse_args()
    columns = ("system", "trained_on", "evaluated_on", "seed", "layer", "factor")
    probes = read_table(args.probes, (*columns, "metric", "value", "chance"))
    confusion = read_table(args.confusion, (*columns, "count"))
    for dataset in args.datasets:
        clips = probed_clips(confusion, dataset)
        save(probe_figure(probes, dataset, clips, looks(args.families)), args.output / f"{dataset}.png")


if __name__ == "__main__":
    run(main)
