"""CPU seconds that Snakemake needs to plan experiments of growing size.

They are the paper's with more systems, versions and seeds.

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

from vidrep.config import check, complete
from vidrep.systems import catalogue, system

ROOT = Path(__file__).parent.parent
SIZES = ((2, 1, 1), (10, 3, 1), (20, 3, 3), (40, 6, 3), (70, 6, 5))
FRAMES = 20  # as many as the longest stack of observed frames wants


def config(systems: int, versions: int, seeds: int) -> dict:
    """The paper's experiment with other systems, versions and seeds, on digits at hand.

    Its systems are the first at reference size that it could train.
    """
    paper = yaml.safe_load((ROOT / "workflow/experiments/paper.yaml").read_text())
    paper["experiment"] = "dag"
    paper["digits"] = {"kind": "sklearn"}
    paper["datasets"] = paper["datasets"][:versions]
    paper["video"]["frames"] = FRAMES
    suitable = []
    for name, entry in catalogue().items():
        if entry["preset"] == "reference" and fits(name, paper):
            suitable.append(name)
    chosen = [{"name": name, "seeds": list(range(seeds))} for name in suitable[:systems]]
    return {**paper, "systems": [*chosen, "pixels"]}


def fits(name: str, paper: dict) -> bool:
    """Can a system be trained by itself in this experiment?"""
    if system(name).datasets or system(name).weights:
        return False
    try:
        check(complete({**paper, "systems": [name]}))
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
    """A dry run.

    Args:
        sizes: numbers of systems, versions and seeds.

    Returns:
        Jobs, CPU seconds of building their graph, CPU seconds in all, megabytes of the largest
        process so far.
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
            "--configfile",
            str(path),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = int(re.search(r"^total +(\d+)$", run.stdout, re.MULTILINE)[1])
    graph_s = float(re.search(r"^built in (.+)$", run.stdout, re.MULTILINE)[1])
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    largest_mb = after.ru_maxrss / 1024
    return jobs, graph_s, cpu_s, largest_mb


def main() -> None:
    """Measure each size."""
    chosen = [tuple(map(int, text.split(","))) for text in sys.argv[1:]] or SIZES
    print(
        "| systems | versions | seeds | jobs | graph, CPU s | dry run, CPU s | largest process so"
        " far, MB |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    for sizes in chosen:
        jobs, graph_s, cpu_s, largest_mb = measure(sizes)
        systems, versions, seeds = sizes
        print(
            f"| {systems} | {versions} | {seeds} | {jobs:,} | {graph_s:.1f} | {cpu_s:.1f} |"
            f" {largest_mb:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
