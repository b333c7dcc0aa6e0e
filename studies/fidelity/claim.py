"""A claim about a system, and what a finished experiment says to it.

Verdicts of comparisons come from the 95 % interval of a difference (``studies.scores``):

* "above" **holds** where the interval lies above 0. It **fails** where the interval excludes a
  difference that would count (``LEAST``), so that a lack of power is no failure; between the two it
  is **undecided**.
* "alike" and "not below" are claims that there is no difference, which no data can prove. They
  **hold** where the interval lies within a stated margin (an equivalence test), **fail** where it
  lies beyond it, and are **not refuted** in between, where lack of power alone might make them look
  true.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from studies.results import Results
from studies.scores import Score, difference

LEAST = 0.05  # the smallest difference of two shares that counts, and the margin of equivalence
LEAST_OF_ERROR = 0.02  # the same for errors, as a share of the second one


class Verdict(StrEnum):
    """What an experiment says to a claim; of several the first in this order counts."""

    FAILS = "fails"
    UNDECIDED = "undecided"
    NOT_REFUTED = "not refuted"
    HOLDS = "holds"


@dataclass(frozen=True)
class Finding:
    """What an experiment says to a claim.

    Attributes:
        measured: what was measured, in words and numbers.
        verdict: whether the claim holds.
    """

    measured: str
    verdict: Verdict

    @property
    def holds(self) -> bool:
        return self.verdict == Verdict.HOLDS


@dataclass(frozen=True)
class Claim:
    """One statement of a source.

    Attributes:
        source: a key of ``studies.fidelity.SOURCES``.
        text: the claim.
        expected: what would confirm it.
        how: how it is measured, on which runs.
        measure: decides it.
        if_fails: the cause that an experiment has shown; printed if it fails.
        mended: what was wrong with an earlier test of this claim, if it has changed.
    """

    source: str
    text: str
    expected: str
    how: str
    measure: Callable[[Results], Finding]
    if_fails: str = ""
    mended: str = ""


def decided(measured: str, holds: bool) -> Finding:
    """A finding of what can be seen without a doubt."""
    return Finding(measured, Verdict.HOLDS if holds else Verdict.FAILS)


def compared(a: Score, b: Score) -> str:
    """Two scores and their difference with its interval, in words; of shares it is in points."""
    found = difference(a, b)
    scale, unit, digits = (100, " points", "+.1f") if a.is_share else (1, "", "+.3g")
    value, low, high = (
        format(scale * number, digits) for number in (found.value, found.low, found.high)
    )
    alone = "" if found.seeds_counted else ", of these trained runs"
    return f"{a}, {b}: {value}{unit} [{low}, {high}]{alone}"


def what_counts(b: Score) -> float:
    """The smallest difference from b that counts."""
    return LEAST if b.is_share else LEAST_OF_ERROR * abs(b.value)


def greater(a: Score, b: Score, least: float | None = None) -> Finding:
    """Is a above b?

    ``least`` is the smallest difference that would count, that of ``what_counts`` by default.
    """
    least = what_counts(b) if least is None else least
    found = difference(a, b)
    if found.low > 0:
        verdict = Verdict.HOLDS
    elif found.high < least:
        verdict = Verdict.FAILS
    else:
        verdict = Verdict.UNDECIDED
    return Finding(compared(a, b), verdict)


def at_least(a: Score, b: Score, margin: float | None = None) -> Finding:
    """Is a not below b by more than a margin?

    Surely below, perhaps by more than the margin, is a failure.
    """
    margin = what_counts(b) if margin is None else margin
    found = difference(a, b)
    if found.low > -margin:
        verdict = Verdict.HOLDS
    elif found.high < 0:
        verdict = Verdict.FAILS
    else:
        verdict = Verdict.NOT_REFUTED
    return Finding(compared(a, b), verdict)


def at_most(a: Score, b: Score, margin: float | None = None) -> Finding:
    """Is a at most a margin above b?"""
    margin = what_counts(b) if margin is None else margin
    found = difference(a, b)
    if found.high < margin:
        verdict = Verdict.HOLDS
    elif found.low > margin:
        verdict = Verdict.FAILS
    else:
        verdict = Verdict.NOT_REFUTED
    return Finding(compared(a, b), verdict)


def within(a: Score, b: Score, margin: float | None = None) -> Finding:
    """Are two scores alike, within a margin of each other?"""
    margin = what_counts(b) if margin is None else margin
    found = difference(a, b)
    if -margin < found.low and found.high < margin:
        verdict = Verdict.HOLDS
    elif found.low > margin or found.high < -margin:
        verdict = Verdict.FAILS
    else:
        verdict = Verdict.NOT_REFUTED
    return Finding(compared(a, b), verdict)


def all_hold(findings: Iterable[Finding]) -> Finding:
    """One finding of several, which holds if all do: the first of ``Verdict`` that occurs."""
    findings = list(findings)
    given = {finding.verdict for finding in findings}
    worst = next(verdict for verdict in Verdict if verdict in given)
    return Finding("; ".join(finding.measured for finding in findings), worst)
