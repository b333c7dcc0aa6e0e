"""Draw similarity tables: the embeddings of all runs against each other, with a dendrogram."""

import argparse
import json
from pathlib import Path

from vidrep.command_line import run
from vidrep.report.similarity import embedding_figure
from vidrep.report.style import save
from vidrep.report.tables import read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", required=True, nargs="+", type=Path, help="similarity tables, <evaluation set>/<measure>.csv")
    parser.add_argument("--families", required=True, type=json.loads, help="family of each system, as JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to: <evaluation set>--<measure>.png and .pdf")
    args = parser.parse_args()
    for path in args.tables:
        dataset, measure = path.parent.name, path.stem
        table = read_table(path, ("rep_a", "rep_b", "value", "n"))
        save(embedding_figure(table, dataset, measure, args.families), args.output / f"{dataset}--{measure}.png")


if __name__ == "__main__":
    run(main)
