"""Where the CPU seconds of a finished experiment went, stage by stage.

    python benchmarks/minutes.py results/default

Sums Snakemake's benchmark files, one a job. Of training the steps alone stand apart (``train_s`` in
run.json, seconds on the clock): the rest of it is start, data, validation and measurement. Prints
Markdown.
"""

import argparse
import json
from pathlib import Path

from vidrep.plan.records import Record, read_record


def stages(results: Path) -> dict[str, list[Record]]:
    """The records of all jobs by stage, the folder that they lie in.

    Raises:
        ValueError: a folder without records.
    """
    found: dict[str, list[Record]] = {}
    root = results / "benchmarks"
    for path in sorted(root.rglob("*.tsv")):
        stage = path.relative_to(root).parts[0].removesuffix(".tsv")
        found.setdefault(stage, []).append(read_record(path))
    if not found:
        raise ValueError(f"{root}: no benchmark files; name the folder of an experiment that ran")
    return found


def training_steps(results: Path) -> float:
    """Seconds of the training steps of all runs."""
    records = results.glob("runs/*/*/*/run.json")
    return sum(json.loads(path.read_text())["train_s"] for path in records)


def table(results: Path) -> str:
    """Markdown: stages by the CPU seconds they took, then all together."""
    found = stages(results)
    seconds = {stage: sum(job.cpu_s for job in jobs) for stage, jobs in found.items()}
    total = sum(seconds.values())
    lines = ["| stage | jobs | CPU s | share |", "|---|---|---|---|"]
    for stage in sorted(found, key=seconds.get, reverse=True):
        lines.append(_row(stage, len(found[stage]), seconds[stage], total))
        if stage == "training":
            lines.append(_row("of it steps", "", training_steps(results), total))
    lines.append(_row("all", sum(map(len, found.values())), total, total))
    return "\n".join(lines)


def _row(name: str, jobs: int | str, seconds: float, total: float) -> str:
    return f"| {name} | {jobs} | {seconds:.0f} | {seconds / total:.0%} |"


def main() -> None:
    """Read the command line, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of the experiment")
    print(table(parser.parse_args().results))


if __name__ == "__main__":
    main()
