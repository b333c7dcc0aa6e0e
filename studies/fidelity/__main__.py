"""Judge every claim of the sources by a finished experiment: a table and a page."""

import argparse
import json
import sys
from pathlib import Path

from studies.fidelity.page import CLAIM_COLUMNS, judge_all, page, setting
from studies.results import Results
from vidrep.command_line import run
from vidrep.files import whole
from vidrep.result_tables import write_rows


def main() -> None:
    """Read the command line, judge, write both."""
    parser = argparse.ArgumentParser(prog="python -m studies.fidelity", description=__doc__)
    parser.add_argument(
        "--results", required=True, type=Path, help="folder of the experiment, results/<experiment>"
    )
    parser.add_argument(
        "--config", required=True, type=json.loads, help="the experiment's configuration as JSON"
    )
    parser.add_argument("--table", required=True, type=Path, help="the .csv table to write")
    parser.add_argument("--page", required=True, type=Path, help="the Markdown page to write")
    args = parser.parse_args()
    sources = args.config["fidelity"]["sources"]
    rows = judge_all(Results(args.results), report, sources)
    write_rows(args.table, CLAIM_COLUMNS, rows)
    with whole(args.page) as beside:
        beside.write_text(page(rows, setting(args.config)))


def report(line: str) -> None:
    """Show a line of progress at once."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run(main)
