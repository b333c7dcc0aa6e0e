"""A claim about a system, and what a finished experiment says to it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from studies.results import Results, Score


@dataclass(frozen=True)
class Finding:
    """What an experiment says to a claim.

    Attributes:
        measured: what was measured, in words and numbers.
        holds: whether the claim holds; None where that cannot be decided here.
    """

    measured: str
    holds: bool | None


@dataclass(frozen=True)
class Claim:
    """One statement of a source.

    Attributes:
        source: a key of ``studies.fidelity.SOURCES``.
        text: the claim.
        expected: what would confirm it.
        how: how it is measured, on which runs.
        measure: decides it.
        if_fails: what is known of why it does not show at small scale; printed if it fails.
    """

    source: str
    text: str
    expected: str
    how: str
    measure: Callable[[Results], Finding]
    if_fails: str = ""


def share_difference(a: Score, b: Score) -> tuple[float, float, float]:
    """a - b with its 95 % interval: value, low, high.

    The clips of both count as independent samples, which is cautious.

    Reference: Newcombe, Statistics in Medicine 17 (1998), method 10.
    """
    low_a, high_a = a.interval
    low_b, high_b = b.interval
    value = a.value - b.value
    low = value - math.hypot(a.value - low_a, high_b - b.value)
    high = value + math.hypot(high_a - a.value, b.value - low_b)
    return value, low, high


def compared(a: Score, b: Score) -> str:
    """Two scores and their difference in points with its interval, in words."""
    value, low, high = share_difference(a, b)
    return f"{a}, {b}: {100 * value:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


def greater(a: Score, b: Score) -> Finding:
    """Is a above b, clearly: does the interval of the difference lie above 0?"""
    _, low, _ = share_difference(a, b)
    return Finding(compared(a, b), low > 0)


def at_least(a: Score, b: Score) -> Finding:
    """Is a not clearly below b: does the interval of the difference reach 0 or lie above it?"""
    _, _, high = share_difference(a, b)
    return Finding(compared(a, b), high >= 0)


def all_hold(findings: Iterable[Finding]) -> Finding:
    """One finding of several: it fails if one fails, and holds if all hold."""
    findings = list(findings)
    verdicts = [finding.holds for finding in findings]
    if False in verdicts:
        holds = False
    elif None in verdicts:
        holds = None
    else:
        holds = True
    return Finding("; ".join(finding.measured for finding in findings), holds)
