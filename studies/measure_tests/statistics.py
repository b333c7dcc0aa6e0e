"""The numbers behind the tests, from matrices of likeness.

Pairs without a value are left out; a test with few pairs has none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidrep.statistics import centred_ranks

TIED = 1e-6  # values closer than this are equal: kernels in single precision support no more


def retrieved(likeness: np.ndarray, runs: Sequence, names: Sequence[str]) -> np.ndarray:
    """How often each layer finds its namesake among the layers of the other runs, (R,) in [0, 1].

    Args:
        likeness: (R, R), larger is more alike; a pair without a value is never chosen.
        runs, names: (R,) run and name of each layer.

    Returns:
        For every layer the share of other runs whose most similar layer bears its name; k layers
        tied for it count 1/k.
    """
    runs = np.array(runs)
    names = np.array(names)
    hits = np.zeros(len(runs))
    for i in range(len(runs)):
        others = [run for run in np.unique(runs) if run != runs[i]]
        for run in others:
            here = runs == run
            row = likeness[i, here]
            same = names[here] == names[i]
            if np.isnan(row).all():
                continue
            best = row >= np.nanmax(row) - TIED
            hits[i] += np.sum(best & same) / np.sum(best) / len(others)
    return hits


def auc(alike: np.ndarray, unlike: np.ndarray) -> float:
    """Probability that a value of ``alike`` exceeds one of ``unlike``; ties count half."""
    if mostly_missing(alike) or mostly_missing(unlike):
        return float("nan")
    alike = alike[~np.isnan(alike)]
    unlike = unlike[~np.isnan(unlike)]
    difference = alike[:, None] - unlike[None]
    return float(np.mean((difference > TIED) + 0.5 * (np.abs(difference) <= TIED)))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation; 0 if one side does not vary, and so tells nothing."""
    if mostly_missing(a) or mostly_missing(b):
        return float("nan")
    known = ~(np.isnan(a) | np.isnan(b))
    return float(np.mean(standard_ranks(a[known]) * standard_ranks(b[known])))


def standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of an array of any shape with mean 0 and standard deviation 1.

    They are 0 for missing values, and where nothing varies.
    """
    known = ~np.isnan(values)
    ranks = centred_ranks(np.round(values[known] / TIED))
    spread = ranks.std() if len(ranks) else 0.0
    result = np.zeros(values.shape)
    result[known] = ranks / spread if spread > 0 else 0.0
    return result


def shuffled_correlations(
    a: np.ndarray, b: np.ndarray, draws: int, draw: np.random.Generator
) -> np.ndarray:
    """Rank correlations (draws,) of ``a`` with ``b`` in random order.

    Entries missing in ``a`` are left out.
    """
    known = ~np.isnan(a)
    copies = np.tile(standard_ranks(b[known]), (draws, 1))
    orders = draw.permuted(copies, axis=1)
    return orders @ standard_ranks(a[known]) / max(known.sum(), 1)


def reordered_correlations(
    a: np.ndarray, b: np.ndarray, draws: int, draw: np.random.Generator
) -> np.ndarray:
    """Mantel's test: rank correlations of two symmetric matrices.

    The first one is that observed; for the others rows and columns of ``b`` stand in random orders.

    Returns:
        (1 + draws,), the observed one first. Pairs missing in ``a`` count nothing.

    Reference: Mantel, Cancer Research 27 (1967).
    """
    upper = np.triu_indices(len(a), 1)
    ranks = standard_ranks(a[upper])
    other = np.zeros(b.shape)
    other[upper] = standard_ranks(b[upper])
    other += other.T
    orders = [np.arange(len(a))]
    orders += [draw.permutation(len(a)) for _ in range(draws)]
    products = [other[np.ix_(order, order)][upper] @ ranks for order in orders]
    return np.array(products) / max(len(ranks), 1)


def growing(distances: np.ndarray) -> float:
    """Share of steps at which distances (k,) grow; a step without a value does not.

    The first one is that of a layer to itself.
    """
    if mostly_missing(distances):
        return float("nan")
    return float(np.mean(np.diff(distances) > TIED))


def mean(values: Sequence[float]) -> float:
    """Their mean without those that are NaN; NaN if most are."""
    values = np.asarray(values, float)
    if mostly_missing(values):
        return float("nan")
    return float(np.nanmean(values))


def mostly_missing(values: np.ndarray) -> bool:
    """Whether more than half of the values are NaN, or there are none."""
    return len(values) == 0 or np.isnan(values).mean() > 0.5
