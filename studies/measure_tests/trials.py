"""The tests and their bars, written down before the first result was seen, and what a test found.

A test passes when the lower end of its 95 % interval lies above its bar and the permutation p
value, where there is one, below 0.05 (few seeds make for intervals that are sometimes too narrow);
it fails when the upper end is not above the bar; in between it is undecided. A measure that has no
value for more than half of what a test asks for is undefined there, which is no pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vidrep.similarity.verdicts import FAILED, PASSED, UNDECIDED, UNDEFINED
from vidrep.statistics import jackknife_error, jackknife_margin, wilson_interval

ALPHA = 0.05


@dataclass(frozen=True)
class Trial:
    """One test.

    Attributes:
        name: in the table.
        question: what is asked.
        how: what the value is.
        bar: what the interval must lie above.
        limits: smallest and largest value.
        unit: what ``n`` counts.
    """

    name: str
    question: str
    how: str
    bar: float
    limits: tuple[float, float]
    unit: str


TRIALS = (
    Trial(
        name="layer_retrieval",
        question="Is a layer found again in the same system trained with another seed?",
        how=(
            "share of layers of one run whose most similar layer in a run with another seed is"
            " the same layer; Wilson's interval"
        ),
        bar=0.5,
        limits=(0, 1),
        unit="layers of runs, each averaged over the other seeds",
    ),
    Trial(
        name="seed_and_layer",
        question="Does another seed change less than another layer?",
        how=(
            "probability that the same layer of two seeds is more alike than two different layers"
            " of two seeds (AUC), mean over systems; jackknife over seeds"
        ),
        bar=0.75,
        limits=(0, 1),
        unit="pairs of layers",
    ),
    Trial(
        name="seed_and_system",
        question="Does another seed change less than another system?",
        how=(
            "probability that embeddings of two seeds of one system are more alike than those of"
            " two systems (AUC); jackknife over seeds"
        ),
        bar=0.75,
        limits=(0, 1),
        unit="pairs of runs",
    ),
    Trial(
        name="components_accuracy",
        question="Is a change as large as the accuracy that it costs?",
        how=(
            "rank correlation, within a layer, between the distance to the layer and the accuracy"
            " that a linear probe loses when leading or trailing principal components are removed;"
            " mean over layers, jackknife over seeds"
        ),
        bar=0.5,
        limits=(-1, 1),
        unit="layers of runs",
    ),
    Trial(
        name="components_monotone",
        question="Does removing more principal components make a layer less alike?",
        how=(
            "share of steps at which removing further leading, or trailing, components makes the"
            " distance grow; Wilson's interval"
        ),
        bar=0.8,
        limits=(0, 1),
        unit="series of removals",
    ),
    Trial(
        name="noise_monotone",
        question="Does more noise make a layer less alike?",
        how=(
            "share of steps at which more Gaussian noise makes the distance grow; Wilson's interval"
        ),
        bar=0.8,
        limits=(0, 1),
        unit="series of noise levels",
    ),
    Trial(
        name="answers",
        question="Are networks that answer alike more alike?",
        how=(
            "rank correlation between the distance of embeddings and how often two runs give"
            " different answers to a clip; jackknife over seeds"
        ),
        bar=0.0,
        limits=(-1, 1),
        unit="pairs of runs",
    ),
    Trial(
        name="answers_within",
        question=(
            "The same within one system, where the architecture tells nothing? (Needs four seeds.)"
        ),
        how=(
            "the same correlation among the seeds of a system, mean over systems; jackknife over"
            " seeds"
        ),
        bar=0.0,
        limits=(-1, 1),
        unit="pairs of runs",
    ),
)
BY_NAME = {trial.name: trial for trial in TRIALS}


@dataclass(frozen=True)
class Outcome:
    """What a test found.

    Attributes:
        value, low, high: NaN where the measure is undefined.
        n: how many of the trial's units it rests on.
        chance: expected value for a measure that knows nothing.
        p: one-sided permutation p value, NaN where there is none.
    """

    value: float
    low: float
    high: float
    n: int
    chance: float
    p: float = math.nan


def verdict(trial: Trial, found: Outcome) -> str:
    """``PASSED``, ``FAILED``, ``UNDECIDED`` or ``UNDEFINED``."""
    if math.isnan(found.value):
        return UNDEFINED
    if found.low > trial.bar and not found.p >= ALPHA:
        return PASSED
    return FAILED if not found.high > trial.bar else UNDECIDED


def undefined(n: int, chance: float) -> Outcome:
    """Of a measure that has no value for most of what a test asks."""
    return Outcome(math.nan, math.nan, math.nan, n, chance)


def of_share(hits: np.ndarray, chance: float) -> Outcome:
    """The mean of shares (n,) in [0, 1] with Wilson's interval for n trials.

    The interval is cautious when each share is itself a mean.
    """
    n = len(hits)
    share = float(np.mean(hits))
    low, high = wilson_interval(share, n)
    return Outcome(share, float(low), float(high), n, chance)


def of_replicates(
    value: float, left_out: np.ndarray, trial: Trial, n: int, chance: float, p: float = math.nan
) -> Outcome:
    """A value with its delete-one jackknife interval (Student's t), cut to what is possible.

    Args:
        value: of all replicates.
        left_out: (k,) values, each without one replicate.
        trial: knows what is possible.
        n, chance, p: see ``Outcome``.
    """
    if math.isnan(value) or np.isnan(left_out).any():
        return undefined(n, chance)
    k = len(left_out)
    half = float(jackknife_margin(jackknife_error(left_out), k))
    low, high = trial.limits
    return Outcome(value, max(value - half, low), min(value + half, high), n, chance, p)
