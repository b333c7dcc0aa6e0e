"""Put every measure of similarity to the tests of the battery: a table and a page."""

import argparse
import json
import sys
from pathlib import Path

from vidrep.command_line import run
from vidrep.experiment import Experiment
from vidrep.files import whole
from vidrep.result_tables import write_rows


def main() -> None:
    """Read the command line, judge, write both."""
    parser = argparse.ArgumentParser(prog="python -m studies.measure_tests", description=__doc__)
    parser.add_argument(
        "--results", required=True, type=Path, help="folder of the experiment, results/<experiment>"
    )
    parser.add_argument(
        "--config", required=True, type=json.loads, help="the experiment's configuration as JSON"
    )
    parser.add_argument(
        "--measures", nargs="+", help="measures to judge (default: all that are registered)"
    )
    parser.add_argument("--table", required=True, type=Path, help="the .csv table to write")
    parser.add_argument("--page", required=True, type=Path, help="the Markdown page to write")
    args = parser.parse_args()
    from studies.measure_tests.battery import TRIAL_COLUMNS
    from studies.measure_tests.page import page

    rows = judge_data_sets(args.results, args.config, args.measures)
    write_rows(args.table, TRIAL_COLUMNS, rows)
    with whole(args.page) as beside:
        beside.write_text(page(rows, args.config))


def judge_data_sets(results: Path, config: dict, chosen: list[str] | None) -> list[tuple]:
    """The rows of the table: every data set that runs were trained on, every chosen measure."""
    from studies.measure_tests.battery import judge_all
    from studies.measure_tests.material import gather
    from vidrep.similarity import measures

    trained = Experiment(config).trained_runs()
    rows = []
    for dataset in dict.fromkeys(one.dataset for one in trained):
        runs = [one for one in trained if one.dataset == dataset]
        material = gather(results, runs, config["seed"], report)
        rows += judge_all(material, dataset, chosen or measures(), report)
    return rows


def report(line: str) -> None:
    """Show a line of progress at once."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run(main)
