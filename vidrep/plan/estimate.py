"""From jobs to estimates, and from estimates to the pages that people read."""

from collections import defaultdict
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
    """What each job should take: what it took before, if its record lies in ``results``, the
    experiment's folder.
    """
    estimates = []
    for job in jobs:
        benchmark = job.benchmark[job.benchmark.index("benchmarks/") :]
        units = load.units(job)
        raw = load.megabytes(job)
        kind = next(
            (
                job.wildcards[name]
                for name in ("system", "measure", "method")
                if name in job.wildcards
            ),
            "",
        )
        record = read_record(results / benchmark)
        basis = "record"
        if record is None:
            record, basis = rates.expect(job.rule, kind, units, job.gpu > 0)
        estimates.append(
            Estimate(
                benchmark,
                job.rule,
                kind,
                round(units, 6),
                job.gpu,
                round(record.cpu_s, 2),
                round(record.wall_s, 2),
                record.memory_mb or job.mem_mb,
                round(raw, 4),
                round(raw * PACKED.get(job.rule, 1.0), 4),
                basis,
            )
        )
    return estimates


def summary(estimates: list[Estimate], cores: int) -> str:
    """The plan: a row for each stage, the sum, and what it rests on."""
    stages = defaultdict(list)
    for item in estimates:
        stages[item.stage].append(item)
    rows = [["stage", "jobs", "CPU hours", "GPU hours", "largest job, MB", "GB on disk"]]
    rows += [_row(name, items) for name, items in [*stages.items(), ("all", estimates)]]
    bases = {
        kind: sum(item.basis == kind for item in estimates)
        for kind in ("record", "kind", "rule", "units")
    }
    hours = sum(item.cpu_s for item in estimates if not item.gpu) / HOUR / cores
    largest = sum(
        sorted((item.memory_mb for item in estimates if not item.gpu), reverse=True)[:cores]
    )
    return "\n".join(
        [
            aligned(rows),
            (
                f"Estimated from records of the same jobs: {bases['record']}, of the same rule and"
                f" system, measure or flow: {bases['kind']}, of the same rule: {bases['rule']},"
                f" from multiply-adds and pixels alone: {bases['units']}."
            ),
            (
                f"With {cores} cores in use at a time: {hours:.2f} h for the jobs without GPU, at"
                f" most {largest:,.0f} MB at once."
            ),
        ]
    )


def _row(name: str, items: list[Estimate]) -> list[str]:
    gpu = sum(item.wall_s * item.gpu for item in items)
    return [
        name,
        str(len(items)),
        f"{sum(item.cpu_s for item in items) / HOUR:.3f}",
        f"{gpu / HOUR:.3f}" if gpu else "-",
        f"{max((item.memory_mb for item in items), default=0):,.0f}",
        f"{sum(item.megabytes for item in items) / 1000:.3f}",
    ]


def disk(estimates: list[Estimate], load: Workload, policy: str) -> str:
    """Gigabytes that each policy of retention leaves in the end, and what the chosen one saves."""
    everything = sum(item.megabytes for item in estimates)
    passing = sum(item.megabytes for item in estimates if item.rule in PASSING)
    seeds = {name: max(1, len(system.seeds)) for name, system in load.experiment.systems.items()}
    others = sum(
        item.megabytes * (1 - 1 / seeds[item.kind])
        for item in estimates
        if item.rule in OF_RUNS and _trained(item)
    )
    left = {"keep_all": everything, "keep_best": everything - others, "temp": everything - passing}
    lines = [f"{name} {size / 1000:.3f} GB" for name, size in left.items()]
    return (
        f"On disk in the end: {', '.join(lines)}; retention: {policy} saves"
        f" {(everything - left[policy]) / 1000:.3f} GB."
    )


def _trained(item: Estimate) -> bool:
    return not item.rule.endswith("_twins") and not item.benchmark.endswith(f"seed{UNTRAINED}.tsv")


def truth(planned: list[Estimate], results: Path) -> str:
    """How far earlier estimates were off: planned and measured hours of the jobs that have run
    since; empty without any.
    """
    stages: dict[str, list[tuple[Estimate, Record]]] = defaultdict(list)
    for item in planned:
        record = read_record(results / item.benchmark)
        if record and item.basis != "record":
            stages[item.stage].append((item, record))
    if not stages:
        return ""
    rows = [
        [
            "stage",
            "jobs",
            "CPU hours planned",
            "measured",
            "measured / planned",
            "largest job planned, MB",
            "measured, MB",
        ]
    ]
    rows += [_truth_row(name, pairs) for name, pairs in stages.items()]
    rows.append(_truth_row("all", [pair for pairs in stages.values() for pair in pairs]))
    return "Jobs that ran after they were planned:\n" + aligned(rows)


def _truth_row(name: str, pairs: list[tuple[Estimate, Record]]) -> list[str]:
    planned = sum(item.cpu_s for item, _ in pairs)
    measured = sum(record.cpu_s for _, record in pairs)
    return [
        name,
        str(len(pairs)),
        f"{planned / HOUR:.3f}",
        f"{measured / HOUR:.3f}",
        f"{measured / planned:.2f}" if planned else "-",
        f"{max(item.memory_mb for item, _ in pairs):,.0f}",
        f"{max(record.memory_mb for _, record in pairs):,.0f}",
    ]


def aligned(rows: list[list[str]]) -> str:
    """Rows as text, the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return "\n".join("  ".join(line) for line in lines)
