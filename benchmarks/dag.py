"""CPU seconds that Snakemake needs to plan experiments of growing size: the paper's with more
systems, versions and seeds.

python benchmarks/dag.py         # 2 systems to all that train on one kind of clips, a line each
python benchmarks/dag.py 2,1,1   # systems, versions, seeds
"""

import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from vidrep.config import check, fill_defaults
from vidrep.systems import catalogue, system

ROOT = Path(__file__).parent.parent
SIZES = ((2, 1, 1), (10, 3, 1), (20, 3, 3), (40, 6, 3), (70, 6, 5))
FRAMES = 20  # as many as the longest stack of observed frames wants


def config(systems: int, versions: int, seeds: int) -> dict:
    """The paper's experiment with the first ``systems`` at reference size that it could train, on
    digits at hand.
    """
    paper = yaml.safe_load((ROOT / "workflow/experiments/paper.yaml").read_text())
    paper |= {
        "experiment": "dag",
        "digits": {"kind": "sklearn"},
        "datasets": paper["datasets"][:versions],
    }
    paper["video"]["frames"] = FRAMES
    suitable = [
        name
        for name in catalogue()
        if catalogue()[name]["preset"] == "reference" and fits(name, paper)
    ]
    return paper | {
        "systems": (
            [{"name": name, "seeds": list(range(seeds))} for name in suitable[:systems]]
            + ["pixels"]
        )
    }


def fits(name: str, paper: dict) -> bool:
    """Can a system be trained by itself in this experiment?"""
    if system(name).datasets or system(name).weights:
        return False
    alone = {**paper, "systems": [name]}
    fill_defaults(alone, yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text()))
    try:
        check(alone)
    except ValueError:
        return False
    return True


# Snakemake's command line, saying how long the graph of jobs took.
TIMED = """
import sys, time
from snakemake import cli, workflow

build = workflow.Workflow._build_dag

def timed(*args, **options):
    started = time.process_time()
    result = build(*args, **options)
    print(f"built in {time.process_time() - started}", flush=True)
    return result

workflow.Workflow._build_dag = timed
cli.main(sys.argv[1:])
"""


def measure(sizes: tuple[int, int, int]) -> tuple[int, float, float, float]:
    """Of a dry run: jobs, CPU seconds of building their graph, CPU seconds in all, megabytes of the
    largest process so far.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump(config(*sizes)))
        command = [
            sys.executable,
            "-c",
            TIMED,
            "-s",
            str(ROOT / "Snakefile"),
            "--directory",
            folder,
            "-n",
            "-q",
            "rules",
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        shown = subprocess.run(
            [*command, "--configfile", str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = int(re.search(r"^total +(\d+)$", shown, re.MULTILINE)[1])
    built = float(re.search(r"^built in (.+)$", shown, re.MULTILINE)[1])
    return (
        jobs,
        built,
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        after.ru_maxrss / 1024,
    )


def main() -> None:
    """Measure each size."""
    chosen = [tuple(map(int, text.split(","))) for text in sys.argv[1:]] or SIZES
    print(
        "| systems | versions | seeds | jobs | graph, CPU s | dry run, CPU s | largest process so"
        " far, MB |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for sizes in chosen:
        jobs, built, seconds, megabytes = measure(sizes)
        print(
            f"| {' | '.join(map(str, sizes))} | {jobs:,} | {built:.1f} | {seconds:.1f} |"
            f" {megabytes:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
