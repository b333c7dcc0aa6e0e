"""Scores of systems on the same test clips, and how sure the difference of two of them is.

A score has two sources of chance: which clips are in the test, and with which seed the network was
trained. Runs with several seeds share their clips, so they are no independent samples of clips:
seeds are averaged first, clip by clip, and their own variance is added. With D_i the difference on
clip i of two systems with R_a and R_b runs,

    SE^2 = var(D) / n + w (1 / R_a + 1 / R_b),

where w, the variance between seeds beyond what the clips explain, is pooled over all systems of an
experiment that have several seeds; systems with one seed borrow it. Intervals are Student's, with
Satterthwaite's degrees of freedom. Two readings of the same runs (intact and shuffled clips) are
paired by seed too, and w is that of their difference; with one run it is not known.

Shares keep a width where all clips agree: two made-up clips are added, as by Agresti & Caffo
(The American Statistician 54, 2000) to independent samples and by Agresti & Min (Statistics in
Medicine 24, 2005) to pairs.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vidrep.statistics import student_quantile

CONSTANT = "constant"  # what knows no seed: an answer that is the same for every clip
ENOUGH_FREEDOM = 4  # degrees of freedom from which a pooled variance is used


@dataclass(frozen=True)
class SeedVariance:
    """Variance of scores between seeds, beyond what the clips of the test explain.

    Attributes:
        beyond: w, that variance; 0 where the clips explain all.
        total: variance of the scores themselves.
        freedom: degrees of freedom, the seeds of each system less one, summed; 0 where it is not
            known.
    """

    beyond: float
    total: float
    freedom: int


UNKNOWN = SeedVariance(0.0, 0.0, 0)


@dataclass(frozen=True)
class Score:
    """A score of every test clip of a data set, by one or several runs of a system.

    Attributes:
        values: (runs, n) float64, a row a seed.
        name: of what.
        runs: what the rows come from; two readings of the same runs carry the same name.
        clips: the clips; scores with the same name here are paired clip by clip.
        seeds: how much seeds vary.
        is_share: right or wrong (in [0, 1]), not an error in units of its own.
        still_rising: whether the validation score of a run still rose when its training ended.
    """

    values: np.ndarray
    name: str
    runs: str
    clips: str
    seeds: SeedVariance = UNKNOWN
    is_share: bool = True
    still_rising: bool = False

    @property
    def value(self) -> float:
        """Mean over clips and seeds."""
        return float(self.values.mean())

    @property
    def n(self) -> int:
        """Number of clips."""
        return self.values.shape[1]

    @property
    def by_clip(self) -> np.ndarray:
        """Mean over seeds of each clip, (n,)."""
        return self.values.mean(axis=0)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the score itself."""
        mean, error = moments(self.by_clip, [0.0, 0.0, 1.0, 1.0] if self.is_share else [])
        part = 0.0 if self.runs == CONSTANT else self.seeds.beyond / len(self.values)
        half = _half_width(error**2, self.n - 1, part, self.seeds)
        return mean - half, mean + half

    def __str__(self) -> str:
        number = f"{100 * self.value:.1f} %" if self.is_share else f"{self.value:.3g}"
        notes = []
        if len(self.values) > 1:
            notes.append(f"{len(self.values)} seeds")
        if self.still_rising:
            notes.append("not converged")
        return f"{self.name} {number}" + (f" ({', '.join(notes)})" if notes else "")


@dataclass(frozen=True)
class Difference:
    """a - b with its 95 % interval.

    Attributes:
        value, low, high: the difference of the means and the ends of its interval.
        seeds_counted: whether the interval holds the variance between seeds; otherwise it speaks
            of these trained runs alone.
    """

    value: float
    low: float
    high: float
    seeds_counted: bool


def moments(values: np.ndarray, made_up: Iterable[float] = ()) -> tuple[float, float]:
    """Mean of values and made-up ones beside them, and the standard error of that mean."""
    values = np.concatenate([values, list(made_up)])
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))


def difference(a: Score, b: Score) -> Difference:
    """a - b: clip by clip where both are of the same clips, else as independent samples."""
    shares = a.is_share and b.is_share
    if a.clips == b.clips:
        if a.n != b.n:
            raise ValueError(f"{a.name} has {a.n} clips, {b.name} {b.n}: they cannot be paired")
        mean, error = moments(a.by_clip - b.by_clip, [1.0, -1.0] if shares else [])
        freedom = a.n - 1
    else:
        made_up = [0.0, 1.0] if shares else []
        mean_a, error_a = moments(a.by_clip, made_up)
        mean_b, error_b = moments(b.by_clip, made_up)
        mean = mean_a - mean_b
        error = math.hypot(error_a, error_b)
        freedom = min(a.n, b.n) - 1
    seeds, runs = _seeds_of_difference(a, b)
    half = _half_width(error**2, freedom, seeds.beyond * runs, seeds)
    return Difference(a.value - b.value, mean - half, mean + half, seeds.freedom > 0 or not runs)


def _seeds_of_difference(a: Score, b: Score) -> tuple[SeedVariance, float]:
    """How much a - b varies between seeds, and the factor of that in its variance."""
    if a.runs == b.runs and a.values.shape == b.values.shape:
        if a.runs == CONSTANT:
            return UNKNOWN, 0.0
        return pooled_seed_variance([a.values - b.values], enough=1), 1 / len(a.values)
    trained = [score for score in (a, b) if score.runs != CONSTANT]
    known = [score.seeds for score in trained if score.seeds.freedom]
    factor = sum(1 / len(score.values) for score in trained)
    return known[0] if len(known) == len(trained) else UNKNOWN, factor


def _half_width(of_clips: float, freedom: int, of_seeds: float, seeds: SeedVariance) -> float:
    """Half a 95 % interval from the variances that clips and seeds give a mean.

    Reference: Satterthwaite, Biometrics Bulletin 2 (1946).
    """
    variance = of_clips + of_seeds
    if not variance:
        return 0.0
    if of_seeds:
        # the variance between seeds is known as well as the total that it is a part of
        scale = seeds.total / seeds.beyond
        spread = of_clips**2 / freedom + (of_seeds * scale) ** 2 / seeds.freedom
        freedom = variance**2 / spread
    return student_quantile(max(freedom, 1)) * math.sqrt(variance)


def pooled_seed_variance(
    groups: Iterable[np.ndarray], enough: int = ENOUGH_FREEDOM
) -> SeedVariance:
    """The variance between seeds, pooled over systems.

    Args:
        groups: of each system its scores, (runs, n); those with one run tell nothing.
        enough: degrees of freedom below which it is taken as not known.
    """
    beyond = 0.0
    total = 0.0
    freedom = 0
    for values in groups:
        runs, n = values.shape
        if runs < 2:
            continue
        between = float(values.mean(axis=1).var(ddof=1))
        residual = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True)
        residual = residual + values.mean()
        mean_square = float((residual**2).sum() / ((runs - 1) * (n - 1)))
        beyond += (runs - 1) * (between - mean_square / n)
        total += (runs - 1) * between
        freedom += runs - 1
    if freedom < enough:
        return UNKNOWN
    return SeedVariance(max(0.0, beyond / freedom), total / freedom, freedom)
