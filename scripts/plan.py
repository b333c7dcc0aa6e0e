"""What the rest of an experiment will cost, and how far the last plan was off.

Jobs, CPU and GPU hours, memory and disk.
"""

import argparse
import os
import sys
from pathlib import Path

from vidrep.command_line import run

ROOT = Path(__file__).parent.parent


def parse() -> tuple[argparse.Namespace, list[str]]:
    """The options, and what is left for Snakemake."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="All other options are Snakemake's, such as --workflow-profile."
    )
    parser.add_argument(
        "--configfile",
        nargs="*",
        default=[ROOT / "config.yaml"],
        help="as for Snakemake: overlays of config.yaml",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(),
        help="as for Snakemake: where results/ lies (default: here)",
    )
    parser.add_argument(
        "--cores",
        type=int,
        default=os.cpu_count(),
        help="cores in use at a time (default: this machine's)",
    )
    return parser.parse_known_args()


def main() -> None:
    """Read the command line, plan, print, and keep the plan for the comparison afterwards."""
    args, others = parse()
    directory = args.directory.resolve()  # absolute, because Snakemake changes folders
    files = [Path(path).resolve() for path in args.configfile]

    from snakemake import cli

    from vidrep.config import check
    from vidrep.plan import estimate, records
    from vidrep.plan.jobs import dry_run
    from vidrep.plan.work import Workload

    command = [
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--directory",
        str(directory),
        "--cores",
        str(args.cores),
        *others,
        "--configfile",
        *map(str, files),
    ]
    _, options = cli.parse_args(command)
    elsewhere = options.executor is not None
    left = dry_run(command, elsewhere=elsewhere)
    load = Workload(check(completed([directory / "config.yaml", *files])))
    results = directory / "results" / load.experiment.name
    planned = records.read_plan(results / "plan.csv")
    truth = estimate.truth(planned, results)
    if truth:
        print(truth, "\n")
    jobs = left or dry_run([*command, "--forceall"], elsewhere=elsewhere)
    rates = records.Rates(records.past(directory / "results"))
    estimates = estimate.estimate(jobs, load, rates, results)
    what = "what is to be run" if left else "nothing is to be run; what it took"
    print(f"{load.experiment.name}: {what}")
    print(estimate.summary(estimates, args.cores))
    print(estimate.disk(estimates, load, load.config["retention"]))
    # a job that is not to be run keeps the plan of before
    older, newer = (planned, estimates) if left else (estimates, planned)
    rows = {item.benchmark: item for item in [*older, *newer]}
    records.write_plan(results / "plan.csv", rows.values())
    print(f"Job by job: {results / 'plan.csv'}", file=sys.stderr)


def completed(files: list[Path]) -> dict:
    """The configuration that Snakemake makes of these files, later ones over earlier ones.

    The first one is that of the working directory, which need not be there.
    """
    from snakemake.utils import update_config

    from vidrep.config import complete, read_yaml

    config: dict = {}
    for path in files if files[0].is_file() else files[1:]:
        update_config(config, read_yaml(path))
    return complete(config)


if __name__ == "__main__":
    run(main)
