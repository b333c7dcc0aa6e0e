"""Representational similarity analysis: rank correlation of pairwise dissimilarities.

Kriegeskorte et al. 2008 (doi:10.3389/neuro.06.004.2008). All dissimilarities come from the kernel
summary; the second-order correlation is an inner product of centred, unit-norm rank vectors, so
that all pairs are one matrix product. Kendall's tau-b is no inner product: it is computed pair by
pair, and has no permutation null here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vidrep.similarity import bilinear
from vidrep.similarity.centring import EPS
from vidrep.similarity.cka import squared_distances
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import (
    DROPPED_ROWS,
    RANK_ZERO,
    UNDEFINED_ROWS,
    Cells,
    Measure,
    Prepared,
    Rows,
    cells,
    check_choice,
)
from vidrep.statistics import average_ranks

MOST_DROPPED = 0.05  # share of clips without a dissimilarity that may be left out
BINS = 1 << 15  # levels of the quick ranks


def products(kernel: Kernel, options: dict) -> np.ndarray:
    """(n, n) products between rows of centred or raw features.

    For Pearson the mean of every row is removed as well.
    """
    dtype = np.float32 if options.get("quick") else np.float64
    matrix = kernel.matrix.astype(dtype)
    correlation = options["dissimilarity"] == "correlation"
    if correlation:
        mean = kernel.b / kernel.d
        matrix -= np.outer(kernel.b.astype(dtype), mean.astype(dtype))
    if options["centre"] == "none":
        a = kernel.a
        square = kernel.mean_square
        if correlation:
            a = a - kernel.b * (kernel.mean_sum / kernel.d)
            square = kernel.mean_spread
        matrix += a[:, None] + a + square
    return matrix


def dissimilarities(kernel: Kernel, options: dict) -> tuple[np.ndarray, np.ndarray]:
    """(n, n) dissimilarities between clips, and a mask (n,) of the clips that have them."""
    if options["dissimilarity"] == "sqeuclidean":
        return squared_distances(kernel), np.ones(kernel.n, dtype=bool)
    inner = products(kernel, options)
    power = np.diag(inner).copy()
    precision = float(np.finfo(kernel.matrix.dtype).eps)
    largest = float(np.max(np.diag(kernel.matrix)))
    if options["centre"] == "none":
        largest += kernel.mean_square
    defined = power > 64 * precision * largest / kernel.n
    inverse = 1 / np.sqrt(np.where(defined, power, 1))
    distance = inner
    distance *= -inverse[:, None]
    distance *= inverse
    distance += 1
    if not options.get("quick"):
        smallest = 64 * EPS * kernel.d + (64 * precision if precision > EPS else 0)
        # equal patterns tie whatever the order of summation
        distance[np.abs(distance) < smallest] = 0
    return distance, defined


def _quick_unit_ranks(distance: np.ndarray, dtype: np.dtype) -> Prepared:
    """``_unit_ranks`` of all clips after rounding to ``BINS`` levels.

    No sorting, and precise enough for standard errors.
    """
    n = len(distance)
    low = float(distance.min())
    high = float(distance.max())
    step = (BINS - 1) / ((high - low) or 1)
    level = ((distance - low) * step).astype(np.intp).ravel()
    on_diagonal = np.bincount(level[:: n + 1], minlength=BINS)
    counts = np.bincount(level, minlength=BINS) - on_diagonal
    ranks = np.cumsum(counts) - counts / 2
    ranks -= n * (n - 1) / 2
    norm = np.sqrt(counts @ ranks**2)
    if not norm > 0:
        return Prepared(RANK_ZERO, None)
    array = (ranks / norm).astype(dtype)[level].reshape(n, n)
    np.fill_diagonal(array, 0)
    return Prepared("", None, array)


def _unit_ranks(distance: np.ndarray, kept: np.ndarray, options: dict, dtype: np.dtype) -> Prepared:
    """The symmetric array whose inner products are the correlations.

    They are over the distinct pairs of the ``kept`` clips.

    For Kendall's tau the dissimilarities themselves, (pairs,).
    """
    n = len(distance)
    chosen = ~np.tri(n, dtype=bool)
    if not kept.all():
        chosen &= np.logical_and.outer(kept, kept)
    values = distance[chosen]
    if options["order"] == "spearman":
        values = average_ranks(values)
    values = values - values.mean()
    norm = np.linalg.norm(values) * np.sqrt(2)
    if not norm > 64 * EPS * len(values):
        return Prepared(RANK_ZERO, None)
    if options["order"] == "kendall":
        return Prepared("", None, values)
    array = np.zeros((n, n), dtype=dtype)
    array[chosen] = values / norm
    array += array.T
    return Prepared("", None, array)


def _prepare(kernel: Kernel, options: dict, left_out: np.ndarray | None = None) -> Prepared:
    distance, defined = dissimilarities(kernel, options)
    if np.mean(~defined) > MOST_DROPPED or defined.sum() < 4:
        return Prepared(UNDEFINED_ROWS, None)
    kept = defined if left_out is None else defined & ~left_out
    if options.get("quick") and options["order"] == "spearman" and kept.all():
        prepared = _quick_unit_ranks(distance, kernel.product_dtype)
    else:
        prepared = _unit_ranks(distance, kept, options, kernel.product_dtype)
    prepared.missing = ~kept
    unread = replace(kernel)  # without the matrix that it has made or read
    prepared.again = lambda mask: _prepare(replace(unread), options, mask)
    return prepared


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    """All pairs; clips that one side lacks are left out on both, and the rest is ranked again."""
    correlate = _taus if options["order"] == "kendall" else bilinear.inner_products
    clips = [len(item.missing) for item in (*rows, *columns) if item.missing is not None]
    values = np.full((len(rows), len(columns)), np.nan)
    used = np.full(values.shape, max(clips, default=0))
    for i, row_mask in _by_missing(rows):
        for j, column_mask in _by_missing(columns):
            union = row_mask | column_mask
            left = _without(rows, i, union)
            right = left if columns is rows and i == j else _without(columns, j, union)
            values[np.ix_(i, j)] = correlate(left, right)
            used[np.ix_(i, j)] -= union.sum()
    remarks = np.where(used < used.max(initial=0), DROPPED_ROWS, "").astype(object)
    return cells(values, rows, columns, remarks, used)


def _taus(rows: Rows, columns: Rows) -> np.ndarray:
    """(A, B) Kendall correlations tau-b."""
    from scipy.stats import kendalltau

    return np.array([[kendalltau(a.data, b.data).statistic for b in columns] for a in rows])


def _by_missing(side: Rows) -> list[tuple[list[int], np.ndarray]]:
    """Positions that lack the same clips, with the mask of these clips.

    Representations without a value are left out.
    """
    groups: dict[bytes, list[int]] = {}
    for position, item in enumerate(side):
        if not item.flag:
            groups.setdefault(item.missing.tobytes(), []).append(position)
    return [(positions, side[positions[0]].missing) for positions in groups.values()]


def _without(side: Rows, positions: list[int], mask: np.ndarray) -> list[Prepared]:
    """Some representations, prepared without the clips of a mask."""
    chosen = []
    for item in (side[position] for position in positions):
        ready = np.array_equal(item.missing, mask)
        chosen.append(item if ready else item.again(mask))
    return chosen


def _null(rows: Rows, columns: Rows, orders: np.ndarray) -> np.ndarray:
    """Counts as in ``bilinear.shift_null``.

    NaN for Kendall's tau, and where clips are missing (re-pairing moves the gaps).
    """
    if any(item.data is not None and item.data.ndim == 1 for item in (*rows, *columns)):
        return np.full((len(rows), len(columns)), np.nan)
    counts = bilinear.shift_null(rows, columns, orders).astype(float)
    counts[_gaps(rows)[:, None] | _gaps(columns)] = np.nan
    return counts


def _gaps(side: Rows) -> np.ndarray:
    """(R,) whether a representation lacks clips."""
    gaps = [item.missing is not None and item.missing.any() for item in side]
    return np.array(gaps, dtype=bool)


def _check(options: dict) -> None:
    check_choice(options, "centre", ("features", "none"))
    check_choice(options, "dissimilarity", ("correlation", "cosine", "sqeuclidean"))
    check_choice(options, "order", ("spearman", "pearson", "kendall"))


MEASURE = Measure(
    "rsa",
    title="RSA",
    direction="similarity",
    range=(-1.0, 1.0),
    identity=1.0,
    invariances=frozenset({"permutation", "scale", "offset"}),
    cost="n^2",
    source="Kriegeskorte et al. 2008",
    prepare=_prepare,
    cross=_cross,
    options={"dissimilarity": "correlation", "centre": "features", "order": "spearman"},
    check=_check,
    chance=bilinear.no_chance,
    null=_null,
    light=True,
    arrays_per_rep=4.0,
    arrays_kept=2.0,
)
