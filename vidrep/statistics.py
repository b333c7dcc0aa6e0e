"""Statistics that more than one room needs: intervals, p values, ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

LEVEL = 0.95  # of every interval
ENDS = (0.025, 0.975)  # quantiles between which an interval of this level lies
NORMAL_QUANTILE = 1.959963984540054  # half width of such an interval in standard errors
FEWEST_FOR_INTERVALS = 20  # independent clips
# groups of clips that depend on each other: five could not reach a p value below 0.06 whatever
# they showed, and Student's t over fewer is hardly known
FEWEST_GROUPS = 6
TOO_FEW_GROUPS = "too_few_groups"
MOST_MISSING = 0.1  # share of bootstrap samples without a value that an interval may ignore
# of ridge regressions, in units of the mean eigenvalue of the kernel of the fitting rows
RIDGE_PENALTIES = np.logspace(-6, 2, 9)


def wilson_interval(share: np.ndarray | float, n: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of a share out of ``n``: low, high.

    Reference: Wilson, JASA 22 (1927).
    """
    share = np.asarray(share, float)
    z = NORMAL_QUANTILE
    scale = 2 * (n + z**2)
    centre = (2 * n * share + z**2) / scale
    variance = 4 * n * share * (1 - share)
    half = z / scale * np.sqrt(variance + z**2)
    low = np.where(share == 0, 0.0, centre - half)
    high = np.where(share == 1, 1.0, centre + half)
    return low, high


def normal_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of n independent values and its 95 % interval by the normal law: mean, low, high."""
    mean = float(np.mean(values))
    spread = np.std(values, ddof=1)
    half = float(NORMAL_QUANTILE * spread / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def student_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of n independent values and its 95 % interval by Student's t: mean, low, high.

    There is no interval for a single value: both ends are NaN.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    quantile = student_quantile(len(values) - 1)
    spread = np.std(values, ddof=1)
    half = float(quantile * spread / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def enough(units: int, rows: int) -> bool:
    """Do so many independent units bear an interval?

    Args:
        units: clips, or groups of clips that depend on each other.
        rows: clips.
    """
    return units >= (FEWEST_FOR_INTERVALS if units == rows else FEWEST_GROUPS)


def numbered(groups: Sequence | None, rows: int) -> tuple[np.ndarray, int]:
    """The number of each row's group, in the order in which groups come, and how many there are.

    Args:
        groups: (rows,) names of groups; None where each row is one by itself.
        rows: number of rows.
    """
    if groups is None:
        return np.arange(rows), rows
    _, first, member = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    place = np.empty(len(first), int)
    place[np.argsort(first)] = np.arange(len(first))
    return place[member], len(first)


def grouped_interval(
    values: np.ndarray, groups: Sequence | None = None
) -> tuple[float, float, float]:
    """Mean of n values of clips and its 95 % interval, where groups of clips are independent.

    The standard error is that of sums over groups, by Student's t with one degree of freedom less
    than there are groups; with groups of one clip it is ``student_interval``. NaN with too few.

    Reference: Liang and Zeger, Biometrika 73 (1986), for a mean.
    """
    values = np.asarray(values, float)
    member, count = numbered(groups, len(values))
    mean = float(values.mean())
    if count < 2 or (groups is not None and not enough(count, len(values))):
        return mean, float("nan"), float("nan")
    sums = np.bincount(member, values - mean, count)  # of each group
    error = np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values)
    half = float(student_quantile(count - 1) * error)
    return mean, mean - half, mean + half


def share_interval(hits: np.ndarray, groups: Sequence | None = None) -> tuple[float, float]:
    """Wilson's 95 % interval of the share of true values in (n,) bool.

    Where groups of clips are independent, it is that of so many independent clips as would have the
    standard error of ``grouped_interval`` and Student's quantile; of one clip a group where all
    clips are right or all are wrong. NaN where there are too few clips or groups.

    Reference: Korn and Graubard, Survey Methodology 24 (1998), with Wilson's interval.
    """
    _, count = numbered(groups, len(hits))
    if not enough(count, len(hits)):
        return float("nan"), float("nan")
    share = float(np.mean(hits))
    effective = len(hits)
    if count < len(hits):
        _, low, high = grouped_interval(hits, groups)
        half = (high - low) / 2
        if 0 < share < 1 and half > 0:
            effective = min(effective, share * (1 - share) * (NORMAL_QUANTILE / half) ** 2)
        elif share in (0, 1):
            effective = count
    low, high = wilson_interval(share, effective)
    return float(low), float(high)


def bootstrap_weights(
    groups: Sequence | None, rows: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """(draws, rows) weights of rows in bootstrap samples of whole groups; each draw sums to 1."""
    member, count = numbered(groups, rows)
    weights = bootstrap_counts(count, draws, rng)[:, member].astype(float)
    return weights / weights.sum(1, keepdims=True)


def student_quantile(freedom: int) -> float:
    """Half width of a 95 % interval in standard errors, by Student's t."""
    from scipy.special import stdtrit

    return stdtrit(freedom, (1 + LEVEL) / 2)


def jackknife_error(values: np.ndarray) -> np.ndarray:
    """Standard errors from (J, ...) values without each of J groups."""
    groups = len(values)
    away = values - values.mean(axis=0)
    squares = (away**2).sum(axis=0)
    return np.sqrt(squares * (groups - 1) / groups)


def jackknife_margin(error: np.ndarray, groups: int) -> np.ndarray:
    """Half widths of 95 % intervals from jackknife standard errors over so many groups."""
    return student_quantile(groups - 1) * error


def jackknife_p(value: np.ndarray, error: np.ndarray, groups: int) -> np.ndarray:
    """Two-sided p values for the true value being 0; NaN where the error is 0 or unknown."""
    from scipy.special import stdtr

    known = np.nan_to_num(error) > 0
    divisor = np.where(known, error, 1)
    ratio = -np.abs(value) / divisor
    p = 2 * stdtr(groups - 1, ratio)
    return np.where(known, p, np.nan)


def bootstrap_counts(count: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of ``count`` items is in each bootstrap sample: (draws, count) int."""
    equal = np.full(count, 1 / count)
    return rng.multinomial(count, equal, size=draws)


def percentile_interval(draws: np.ndarray) -> np.ndarray:
    """(2, ...) ends of the 95 % intervals of bootstrap values (draws, ...).

    NaN where more than ``MOST_MISSING`` of the draws have no value.
    """
    missing = np.isnan(draws).mean(axis=0) > MOST_MISSING
    known = np.where(missing, 0, draws)
    low, high = np.nanquantile(known, ENDS, axis=0)
    return np.where(missing, np.nan, [low, high])


def p_of_counts(reached: np.ndarray, draws: int) -> np.ndarray:
    """p values of a permutation test.

    Args:
        reached: how many of the draws are at least as extreme as the observation.
        draws: how many there are; the observation counts as one more.
    """
    return (1 + reached) / (1 + draws)


def permutation_p(observed: float, draws: np.ndarray, *, tolerance: float = 1e-12) -> float:
    """One-sided p value: the share of draws, and of the observation itself, that reach it.

    Draws that stay below by less than ``tolerance`` are ties and count. NaN if the observation is.
    """
    if np.isnan(observed):
        return float("nan")
    reached = np.sum(draws >= observed - tolerance)
    return float(p_of_counts(reached, len(draws)))


def adjusted_p(p: np.ndarray) -> np.ndarray:
    """p values of one family, adjusted for their number; NaN stays NaN and does not count.

    Reference: Benjamini and Hochberg, JRSS B 57 (1995).
    """
    # takes most of a second to import, and few callers need it
    from scipy.stats import false_discovery_control

    known = ~np.isnan(p)
    adjusted = np.full(p.shape, np.nan)
    if known.any():
        adjusted[known] = false_discovery_control(p[known])
    return adjusted


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks 1..m of a vector, tied values sharing their mean rank."""
    count = len(values)
    order, ordered = _sorted(values)
    rises = ordered[1:] != ordered[:-1]
    ranks = np.empty(count)
    if rises.all():
        ranks[order] = np.arange(1.0, count + 1)
    else:
        starts = np.flatnonzero(np.r_[True, rises])
        ends = np.r_[starts[1:], count]
        shared = (starts + ends + 1) / 2
        ranks[order] = np.repeat(shared, ends - starts)
    return ranks


def _sorted(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a vector's values from the smallest to the largest, and the values so ordered.

    Sorting numbers is several times as fast as sorting their positions, so that positions take the
    place of the last bits of the numbers. What agrees in the bits that are left is sorted again.
    """
    bits = max(len(values) - 1, 1).bit_length()
    if bits > 40 or values.min(initial=0) < 0:
        order = np.argsort(values)
        return order, values[order]
    places = np.uint64((1 << bits) - 1)
    # numbers that are not negative are ordered as their bits are
    keys = (values + 0.0).view(np.uint64) & ~places
    keys |= np.arange(len(values), dtype=np.uint64)
    keys.sort()
    order = (keys & places).view(np.intp)
    ordered = values[order]
    if np.any(ordered[1:] < ordered[:-1]):
        keys &= ~places
        same = keys[1:] == keys[:-1]
        as_the_one_before = np.r_[False, same]
        as_the_next_one = np.r_[same, False]
        alike = as_the_one_before | as_the_next_one
        members = order[alike]
        again = np.lexsort((values[members], keys[alike]))
        order[alike] = members[again]
        ordered = values[order]
    return order, ordered


def centred_ranks(values: np.ndarray) -> np.ndarray:
    """``average_ranks`` less their mean: what rank correlations are inner products of."""
    ranks = average_ranks(values)
    return ranks - ranks.mean() if len(ranks) else ranks


def kendall_tau(matched: Tensor) -> Tensor:
    """Tau-b of index sequences against 0 .. n-1: are the frames matched to a video's in order?

    Args:
        matched: (..., n) numbers, n at least 1.

    Returns:
        (...) float32: 1 for a rising sequence, -1 for a falling one; 0 where it is undefined, that
        is where all numbers are the same. (Leaving those out would make a collapsed embedding look
        better than it is.)

    Reference: Kendall, Biometrika 33 (1945).
    """
    import torch  # the figures, which need the rest of this module, do without

    n = matched.shape[-1]
    earlier, later = torch.triu_indices(n, n, 1, device=matched.device)
    steps = matched[..., later] - matched[..., earlier]
    signs = steps.sign().float()
    untied = signs.abs().sum(-1)
    pairs = n * (n - 1) / 2
    largest = (untied * pairs).sqrt()
    return signs.sum(-1) / largest.clamp(min=1)
