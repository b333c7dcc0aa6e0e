"""What earlier jobs took: Snakemake's benchmark files beside the plans that tell their work."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from vidrep.result_tables import write_rows

# Of a run, and of the untrained baselines of a system or of all small ones.
TRAIN = ("train", "train_untrained")
EXTRACT = ("extract", "extract_untrained")
PROBE = ("probe", "probe_untrained")
KERNELS = ("kernels", "kernels_untrained")
GENERATE = ("generate", "generate_untrained")

# CPU seconds that a job takes to start, and CPU seconds for a unit of its work
# (vidrep/plan/work.py), where nothing of its kind ran before: from one run of the default
# experiment on two server cores (286 jobs, 0.56 CPU hours).
UNKNOWN = {
    "render_dataset": (0.4, 0.012),
    "compute_flow": (0.5, 0.38),
    **dict.fromkeys(TRAIN, (5.2, 0.067)),
    **dict.fromkeys(EXTRACT, (4.0, 0.085)),
    **dict.fromkeys(GENERATE, (4.8, 0.15)),
    **dict.fromkeys(PROBE, (3.0, 0.36)),
    **dict.fromkeys(KERNELS, (1.0, 4.5)),
    "compare": (1.5, 8.6),
}
# other rules, of one unit a job: tables take one or two seconds, figures four to twenty-four
LIGHT = (0.0, 6.0)
GPU_START_S = 10.0  # assumed, where no job of the kind has run on a GPU
GPU_GMACS_PER_S = 2000.0
# rules whose work is counted in 10^9 multiply-adds
NETWORK = (*TRAIN, *EXTRACT, *GENERATE)
PACKED = {"render_dataset": 0.12, "compute_flow": 0.2}  # share of its size that compression leaves


@dataclass(frozen=True)
class Estimate:
    """What a job is expected to take, one row of ``plan.csv``.

    Attributes:
        benchmark: its record's path below the experiment's folder; names the job.
        rule, kind: what kind of job; within a rule jobs of one system, measure or flow method
            compare best.
        units: its work.
        gpu: devices it asks for.
        cpu_s: CPU seconds.
        wall_s: seconds.
        memory_mb: largest resident size as far as known, else what it asks for.
        raw_megabytes, megabytes: its outputs before and after compression.
        basis: "record" of this very job, "kind" or "rule" from records of others, "units" from no
            record at all.
    """

    benchmark: str
    rule: str
    kind: str
    units: float
    gpu: int
    cpu_s: float
    wall_s: float
    memory_mb: float
    raw_megabytes: float
    megabytes: float
    basis: str

    @property
    def stage(self) -> str:
        return self.benchmark.split("/")[1].removesuffix(".tsv")


@dataclass(frozen=True)
class Record:
    """What a job took: CPU seconds, seconds, largest resident size in MB."""

    cpu_s: float
    wall_s: float
    memory_mb: float


def read_record(path: Path) -> Record | None:
    """A benchmark file of Snakemake; None without one.

    A job too short to be sampled has its seconds as CPU seconds.
    """
    if not path.is_file():
        return None
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    last = rows[-1]
    wall_s = float(last["s"])
    cpu_s = _number(last["cpu_time"])
    return Record(
        cpu_s=cpu_s if cpu_s > 0 else wall_s,
        wall_s=wall_s,
        memory_mb=_number(last["max_rss"]),
    )


def _number(text: str) -> float:
    """A finite number, or 0 for what Snakemake did not measure."""
    try:
        value = float(text)
    except ValueError:  # NA, -
        return 0.0
    return value if math.isfinite(value) else 0.0


def read_plan(path: Path) -> list[Estimate]:
    """The rows of a ``plan.csv``; none without the file."""
    if not path.is_file():
        return []
    types = {field.name: field.type for field in fields(Estimate)}
    estimates = []
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            values = {name: types[name](text) for name, text in row.items()}
            estimates.append(Estimate(**values))
    return estimates


def write_plan(path: Path, estimates: Iterable[Estimate]) -> None:
    """Write ``plan.csv``."""
    names = tuple(field.name for field in fields(Estimate))
    rows = [astuple(estimate) for estimate in estimates]
    write_rows(path, names, rows)


def past(results: Path) -> Iterator[tuple[Estimate, Record]]:
    """Of all experiments under ``results`` the planned jobs that have run."""
    for plan in sorted(results.glob("*/plan.csv")):
        for estimate in read_plan(plan):
            record = read_record(plan.parent / estimate.benchmark)
            if record:
                yield estimate, record


class Rates:
    """Seconds and memory of jobs by their work, from records of the same kind, else rule.

    Args:
        records: what jobs were planned to be, and what they took.
    """

    def __init__(self, records: Iterable[tuple[Estimate, Record]]) -> None:
        # by rule, kind ("" for all of the rule) and whether the job had a GPU
        self.known: dict[tuple[str, str, bool], list[tuple[float, Record]]] = defaultdict(list)
        for estimate, record in records:
            for kind in {"", estimate.kind}:
                key = (estimate.rule, kind, estimate.gpu > 0)
                self.known[key].append((estimate.units, record))

    def expect(self, rule: str, kind: str, units: float, gpu: bool) -> tuple[Record, str]:
        """What a job of so much work should take.

        Returns:
            The record to expect, its memory 0 where nothing is known, and what it rests on: "kind",
            "rule" or "units", see ``Estimate``.
        """
        for name, basis in ((kind, "kind"), ("", "rule")):
            found = self.known.get((rule, name, gpu))
            if found:
                return _from_records(found, units, _start_s(rule)), basis
        if gpu and rule in NETWORK:
            seconds = GPU_START_S + units / GPU_GMACS_PER_S
        else:
            start, rate = UNKNOWN.get(rule, LIGHT)
            seconds = start + rate * units
        return Record(seconds, seconds, 0.0), "units"


def _start_s(rule: str) -> float:
    """CPU seconds that a job of a rule takes to start."""
    start, _ = UNKNOWN.get(rule, LIGHT)
    return start


def _from_records(found: list[tuple[float, Record]], units: float, start: float) -> Record:
    """What ``units`` of work take by the records of other jobs, pairs of their units and record."""
    work = sum(its_units for its_units, _ in found)
    cpu_s = sum(record.cpu_s - start for _, record in found)
    wall_s = sum(record.wall_s - start for _, record in found)
    return Record(
        cpu_s=start + units * _rate(cpu_s, work),
        wall_s=start + units * _rate(wall_s, work),
        memory_mb=max(record.memory_mb for _, record in found),
    )


def _rate(seconds: float, work: float) -> float:
    """Seconds for a unit of work, of all records together, so that long jobs count most."""
    return max(0.0, seconds) / work if work else 0.0
