"""Representational similarity analysis: rank correlation of two vectors of pairwise dissimilarities.

Kriegeskorte et al. 2008 (doi:10.3389/neuro.06.004.2008). All dissimilarities come from the kernel summary; the second-order
correlation is an inner product of centred, unit-norm rank vectors, so that all pairs are one matrix product.
"""

from __future__ import annotations

import numpy as np

from vidrep.similarity import bilinear
from vidrep.similarity.cka import squared_distances
from vidrep.similarity.kernel import EPS, Kernel
from vidrep.similarity.measure import DROPPED_ROWS, RANK_ZERO, UNDEFINED_ROWS, Cells, Measure, Prepared, Rows, check_choice

MOST_DROPPED = 0.05  # share of clips without a dissimilarity that may be left out
BINS = 1 << 16


def products(kernel: Kernel, options: dict) -> np.ndarray:
    """(n, n) products between rows: of centred or raw features, for Pearson with the mean of every row removed as well."""
    matrix = kernel.matrix.astype(np.float64)
    correlation = options["dissimilarity"] == "correlation"
    if correlation:
        matrix -= np.outer(kernel.b, kernel.b / kernel.d)
    if options["centre"] == "none":
        a = kernel.a - kernel.b * (kernel.mean_sum / kernel.d) if correlation else kernel.a
        matrix += a[:, None] + a + (kernel.mean_spread if correlation else kernel.mean_square)
    return matrix


def dissimilarities(kernel: Kernel, options: dict) -> tuple[np.ndarray, np.ndarray]:
    """(n, n) dissimilarities between clips, and a mask (n,) of the clips that have them."""
    if options["dissimilarity"] == "sqeuclidean":
        return squared_distances(kernel), np.ones(kernel.n, dtype=bool)
    inner = products(kernel, options)
    power = np.diag(inner).copy()
    precision = float(np.finfo(kernel.matrix.dtype).eps)
    largest = float(np.max(np.diag(kernel.matrix))) + (kernel.mean_square if options["centre"] == "none" else 0)
    defined = power > 64 * precision * largest / kernel.n
    norms = np.sqrt(np.where(defined, power, 1))
    distance = 1 - inner / norms[:, None] / norms
    snap = 64 * EPS * kernel.d + (64 * precision if precision > EPS else 0)
    distance[np.abs(distance) < snap] = 0  # equal patterns tie whatever the order of summation
    return distance, defined


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks 1..m of a vector, tied values sharing their mean rank."""
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ranks = np.empty(len(values))
    if len(starts) == len(values):
        ranks[order] = np.arange(1, len(values) + 1)
    else:
        ends = np.r_[starts[1:], len(values)]
        ranks[order] = np.repeat((starts + ends + 1) / 2, ends - starts)
    return ranks


def binned_ranks(values: np.ndarray) -> np.ndarray:
    """Average ranks after rounding to 65,536 levels between the extremes: no sorting, enough for standard errors."""
    low, high = values.min(), values.max()
    level = ((values - low) * ((BINS - 1) / ((high - low) or 1))).astype(np.intp)
    counts = np.bincount(level, minlength=BINS)
    return (np.cumsum(counts) - (counts - 1) / 2)[level]


def _unit_ranks(distance: np.ndarray, kept: np.ndarray, options: dict, dtype: np.dtype) -> Prepared:
    """The symmetric array whose inner products are correlations over the distinct pairs of the ``kept`` clips."""
    n = len(distance)
    rows, columns = np.triu_indices(n, 1)
    chosen = kept[rows] & kept[columns]
    rows, columns = rows[chosen], columns[chosen]
    values = distance[rows, columns]
    if options["order"] == "spearman":
        values = (binned_ranks if options.get("quick") else average_ranks)(values)
    values = values - values.mean()
    norm = np.linalg.norm(values) * np.sqrt(2)
    if not norm > 64 * EPS * len(values):
        return Prepared(RANK_ZERO, None)
    array = np.zeros((n, n), dtype=dtype)
    array[rows, columns] = values / norm
    array += array.T
    return Prepared("", None, array)


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    distance, defined = dissimilarities(kernel, options)
    if np.mean(~defined) > MOST_DROPPED or defined.sum() < 4:
        return Prepared(UNDEFINED_ROWS, None)
    prepared = _unit_ranks(distance, defined, options, kernel.matrix.dtype)
    if not defined.all():
        prepared.gaps = (distance, defined)
    return prepared


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    """All pairs; where clips are missing on one side they are left out on both and the rest is ranked again."""
    result = bilinear.cross(rows, columns, options)
    return result


def _check(options: dict) -> None:
    check_choice(options, "centre", ("features", "none"))
    check_choice(options, "dissimilarity", ("correlation", "cosine", "sqeuclidean"))
    check_choice(options, "order", ("spearman", "pearson"))
