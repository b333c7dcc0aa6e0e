"""What the rest of an experiment will cost: jobs, CPU and GPU hours, memory and disk; and how far the last plan was off."""

import argparse
import os
import sys
from pathlib import Path

import yaml

from vidrep.command_line import run

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Read the command line, plan, print, and keep the plan for the comparison afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="All other options are Snakemake's, such as --profile.")
    parser.add_argument("--configfile", nargs="*", default=[], help="as for Snakemake: overlays of config.yaml")
    parser.add_argument("--directory", type=Path, default=Path(), help="as for Snakemake: where results/ lies (default: here)")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores in use at a time (default: this machine's)")
    args, others = parser.parse_known_args()

    from snakemake import cli

    from vidrep.config import check
    from vidrep.plan import estimate, records
    from vidrep.plan.jobs import dry_run
    from vidrep.plan.work import Workload

    command = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(args.directory), "--cores", str(args.cores), *others]
    command += ["--configfile", *map(str, args.configfile)] if args.configfile else []
    jobs = dry_run(command, elsewhere=cli.parse_args(command)[1].executor is not None)
    load = Workload(check(completed(args.configfile)))
    results = args.directory / "results" / load.experiment.name
    planned = records.read_plan(results / "plan.csv")
    print(estimate.truth(planned, results) or "No job has run yet after it was planned.", "\n")
    if not jobs:
        print("Nothing is left to be run.")
        return
    estimates = estimate.estimate(jobs, load, records.Rates(records.past(args.directory / "results")), results)
    print(f"{load.experiment.name}: what is to be run")
    print(estimate.summary(estimates, args.cores))
    print(estimate.disk(estimates, load, load.config["retention"]))
    fresh = {item.benchmark for item in estimates}
    records.write_plan(results / "plan.csv", [*(item for item in planned if item.benchmark not in fresh), *estimates])
    print(f"Plan of each job: {results / 'plan.csv'}", file=sys.stderr)


def completed(overlays: list[str]) -> dict:
    """config.yaml under its overlays, with the schema's defaults."""
    from snakemake.utils import update_config

    from vidrep.config import fill_defaults

    config: dict = {}
    for path in (ROOT / "config.yaml", *overlays):
        update_config(config, yaml.safe_load(Path(path).read_text()) or {})
    fill_defaults(config, yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text()))
    return config


if __name__ == "__main__":
    run(main)
