"""Scores of alignment.csv with their intervals, as claims read and compare them."""

import math
from dataclasses import dataclass

from studies.fidelity.claim import LEAST, Finding, Verdict
from studies.results import NotRun, Results
from vidrep.runs import UNTRAINED

BASELINES = ("frame_index", "raw_pixels", "chance")


@dataclass(frozen=True)
class Measured:
    """A number with its 95 % interval over test videos (few-shot: over choices of labelled videos).

    Attributes:
        name: of what.
        value, low, high: the number and the ends of its interval.
    """

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.name} {self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def measured(
    results: Results, system: str, metric: str, dataset: str, labelled: str = "most"
) -> Measured:
    """A measure of a system trained and evaluated on ``dataset``, its seeds averaged.

    Args:
        results: the experiment.
        system: a system, ``<name>@untrained`` for its untrained baseline, or a trivial baseline.
        metric: see ``metric`` of alignment.csv.
        dataset: the data set.
        labelled: the "most" or the "fewest" labelled videos that the metric was taken with.

    Raises:
        NotRun: no such row.
    """
    name, _, seed = system.partition("@")
    untrained = name in BASELINES or seed == UNTRAINED
    table = results.table("alignment")
    rows = table[
        (table["system"] == name)
        & (table["trained_on"] == dataset)
        & (table["evaluated_on"] == dataset)
        & (table["metric"] == metric)
        & ((table["seed"] == UNTRAINED) == untrained)
    ]
    if rows.empty:
        raise NotRun(f"{system} on {dataset} ({metric})")
    counts = rows["labelled_videos"].fillna(0)
    wanted = counts.max() if labelled == "most" else counts.min()
    value, low, high = rows.loc[counts == wanted, ["value", "ci_low", "ci_high"]].mean()
    return Measured(system, value, low, high)


def above(a: Measured, b: Measured) -> Finding:
    """Is a above b? See ``studies.fidelity.claim`` for the verdicts.

    The interval of the difference is made from those of both, as for independent numbers.
    """
    difference = a.value - b.value
    low = difference - math.hypot(a.value - a.low, b.high - b.value)
    high = difference + math.hypot(a.high - a.value, b.value - b.low)
    verdict = Verdict.UNDECIDED
    if low > 0:
        verdict = Verdict.HOLDS
    elif high < LEAST:
        verdict = Verdict.FAILS
    return Finding(f"{a}, {b}: {difference:+.3f} [{low:+.3f}, {high:+.3f}]", verdict)


def named(name: str, finding: Finding) -> Finding:
    """A finding with its subject in front."""
    return Finding(f"{name}: {finding.measured}", finding.verdict)
