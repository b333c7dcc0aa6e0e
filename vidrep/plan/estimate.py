"""From jobs to estimates, and from estimates to the pages that people read."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from vidrep.plan.jobs import Job
from vidrep.plan.records import EXTRACT, KERNELS, PACKED, Estimate, Rates, Record, read_record
from vidrep.plan.work import Workload
from vidrep.runs import UNTRAINED

PASSING = ("compute_flow", *EXTRACT, *KERNELS)  # what retention: temp does not keep
OF_RUNS = PASSING[1:]  # what retention: keep_best keeps of one run for each data set and system
HOUR = 3600


def estimate(jobs: Iterable[Job], load: Workload, rates: Rates, results: Path) -> list[Estimate]:
    """What each job should take.

    Args:
        jobs: the jobs.
        load: of their experiment.
        rates: what other jobs took.
        results: the experiment's folder; a job whose record lies there takes what it took before.
    """
    estimates = []
    for job in jobs:
        benchmark = job.benchmark[job.benchmark.index("benchmarks/") :]
        kind = _kind(job)
        units = load.units(job)
        raw = load.megabytes(job)
        packed = raw * PACKED.get(job.rule, 1.0)
        record = read_record(results / benchmark)
        basis = "record"
        if record is None:
            record, basis = rates.expect(job.rule, kind, units, job.gpu > 0)
        estimates.append(
            Estimate(
                benchmark=benchmark,
                rule=job.rule,
                kind=kind,
                units=round(units, 6),
                gpu=job.gpu,
                cpu_s=round(record.cpu_s, 2),
                wall_s=round(record.wall_s, 2),
                memory_mb=record.memory_mb or job.mem_mb,
                raw_megabytes=round(raw, 4),
                megabytes=round(packed, 4),
                basis=basis,
            )
        )
    return estimates


def _kind(job: Job) -> str:
    """The system, measure or flow method that a job is for; empty for others."""
    for name in ("system", "measure", "method"):
        if name in job.wildcards:
            return job.wildcards[name]
    return ""


def summary(estimates: list[Estimate], cores: int) -> str:
    """The plan: a row for each stage, the sum, and what it rests on."""
    stages = defaultdict(list)
    for item in estimates:
        stages[item.stage].append(item)
    rows = [["stage", "jobs", "CPU hours", "GPU hours", "largest job, MB", "GB on disk"]]
    rows += [_row(name, items) for name, items in stages.items()]
    rows.append(_row("all", estimates))

    bases = Counter(item.basis for item in estimates)
    without_gpu = [item for item in estimates if not item.gpu]
    hours = sum(item.cpu_s for item in without_gpu) / HOUR / cores
    memories_mb = sorted((item.memory_mb for item in without_gpu), reverse=True)
    at_once_mb = sum(memories_mb[:cores])
    lines = [
        aligned(rows),
        (
            f"Estimated from records of the same jobs: {bases['record']}, of the same rule and"
            f" system, measure or flow: {bases['kind']}, of the same rule: {bases['rule']},"
            f" from multiply-adds and pixels alone: {bases['units']}."
        ),
        (
            f"With {cores} cores in use at a time: {hours:.2f} h for the jobs without GPU, at"
            f" most {at_once_mb:,.0f} MB at once."
        ),
    ]
    return "\n".join(lines)


def _row(name: str, items: list[Estimate]) -> list[str]:
    """A stage in the table of ``summary``."""
    cpu_h = sum(item.cpu_s for item in items) / HOUR
    gpu_h = sum(item.wall_s * item.gpu for item in items) / HOUR
    largest_mb = max((item.memory_mb for item in items), default=0)
    gigabytes = sum(item.megabytes for item in items) / 1000
    return [
        name,
        str(len(items)),
        f"{cpu_h:.3f}",
        f"{gpu_h:.3f}" if gpu_h else "-",
        f"{largest_mb:,.0f}",
        f"{gigabytes:.3f}",
    ]


def disk(estimates: list[Estimate], load: Workload, policy: str) -> str:
    """Gigabytes that each policy of retention leaves in the end, and what the chosen one saves."""
    everything = sum(item.megabytes for item in estimates)
    passing = sum(item.megabytes for item in estimates if item.rule in PASSING)
    not_best = 0.0
    for item in estimates:
        if item.rule in OF_RUNS and _of_trained_run(item):
            seeds = max(1, len(load.experiment.systems[item.kind].seeds))
            not_best += item.megabytes * (1 - 1 / seeds)
    left = {
        "keep_all": everything,
        "keep_best": everything - not_best,
        "temp": everything - passing,
    }
    sizes = ", ".join(f"{name} {size / 1000:.3f} GB" for name, size in left.items())
    saved = everything - left[policy]
    return f"On disk in the end: {sizes}; retention: {policy} saves {saved / 1000:.3f} GB."


def _of_trained_run(item: Estimate) -> bool:
    baseline = item.rule.endswith(f"_{UNTRAINED}") or f"seed{UNTRAINED}" in item.benchmark
    return not baseline


def truth(planned: list[Estimate], results: Path) -> str:
    """How far earlier estimates were off; empty where no job has run since.

    Args:
        planned: the earlier plan.
        results: the experiment's folder.
    """
    stages: dict[str, list[tuple[Estimate, Record]]] = defaultdict(list)
    for item in planned:
        record = read_record(results / item.benchmark)
        if record and item.basis != "record":
            stages[item.stage].append((item, record))
    if not stages:
        return ""
    header = [
        "stage",
        "jobs",
        "CPU hours planned",
        "measured",
        "measured / planned",
        "largest job planned, MB",
        "measured, MB",
    ]
    rows = [header]
    every_pair = []
    for name, pairs in stages.items():
        rows.append(_truth_row(name, pairs))
        every_pair += pairs
    rows.append(_truth_row("all", every_pair))
    return "Jobs that ran after they were planned:\n" + aligned(rows)


def _truth_row(name: str, pairs: list[tuple[Estimate, Record]]) -> list[str]:
    """A stage in the table of ``truth``."""
    planned_s = sum(item.cpu_s for item, _ in pairs)
    measured_s = sum(record.cpu_s for _, record in pairs)
    planned_mb = max(item.memory_mb for item, _ in pairs)
    measured_mb = max(record.memory_mb for _, record in pairs)
    return [
        name,
        str(len(pairs)),
        f"{planned_s / HOUR:.3f}",
        f"{measured_s / HOUR:.3f}",
        f"{measured_s / planned_s:.2f}" if planned_s else "-",
        f"{planned_mb:,.0f}",
        f"{measured_mb:,.0f}",
    ]


def aligned(rows: list[list[str]]) -> str:
    """Rows as text, the first column to the left, numbers to the right."""
    columns = zip(*rows, strict=True)
    first_width, *widths = [max(map(len, column)) for column in columns]
    lines = []
    for name, *numbers in rows:
        cells = [name.ljust(first_width)]
        for number, width in zip(numbers, widths, strict=True):
            cells.append(number.rjust(width))
        lines.append("  ".join(cells))
    return "\n".join(lines)
