"""Sums of singular values of Fx^T Fy: what shape distances and mean canonical correlations share.

Shape distances (Williams et al. 2021, arXiv:2110.14739) have as Fx the principal component scores
of the centred activations of norm 1; mean CCA and SVCCA an orthonormal basis of the (leading part
of the) column space.
"""

from __future__ import annotations

import math

import numpy as np

from vidrep.similarity.centring import EPS
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.machine import spread
from vidrep.similarity.measure import (
    SATURATED,
    TRUNCATED,
    Cells,
    Prepared,
    Rows,
    cells,
    check_range,
    clips_of,
)

TOLERANCE = 1e-8  # largest relative error of a nuclear norm taken from squared singular values
# distances magnify errors of a cosine near 1, so that it is taken from singular values themselves
NEAR_ONE = 1e-3


def nuclear_norm(product: np.ndarray, bound: float = np.inf) -> float:
    """Sum of the singular values of a matrix.

    The eigenvalues of its smaller Gram matrix cost half as much as singular values and lose digits
    only of values below about 1e-6 of the largest. Where that could change the sum by more than
    ``TOLERANCE``, or the sum comes within ``NEAR_ONE`` of ``bound``, the singular values are
    computed instead.
    """
    wide = product if product.shape[0] <= product.shape[1] else product.T
    if len(wide) > 2:
        values = np.sqrt(np.maximum(np.linalg.eigvalsh(wide @ wide.T), 0))
        total = float(values.sum())
        largest = float(values[-1])
        error = np.inf
        if largest:
            slopes = np.maximum(2 * values, math.sqrt(EPS) * largest)
            error = float(np.sum(EPS * largest**2 / slopes))
        if error <= TOLERANCE * total and total < bound * (1 - NEAR_ONE):
            return total
    return float(np.linalg.svd(product, compute_uv=False).sum())


def nuclear_norms(
    rows: Rows,
    columns: Rows,
    bound: float = np.inf,
    skip: np.ndarray | None = None,
) -> np.ndarray:
    """(A, B) sums of singular values of all products of factors, one pair a core.

    The product of a factor with itself has no negative eigenvalue, so that their sum is its trace.

    Args:
        bound: largest possible value, where precision near it matters.
        skip: (A, B) mask of pairs to leave NaN.
    """
    sums = np.full((len(rows), len(columns)), np.nan)
    symmetric = columns is rows
    pairs = []
    for i, j in np.ndindex(sums.shape):
        known = not (rows[i].flag or columns[j].flag)
        twice = symmetric and j < i
        skipped = skip is not None and skip[i, j]
        if not known or twice or skipped:
            continue
        if symmetric and i == j:
            sums[i, i] = np.sum(rows[i].data ** 2)
        else:
            pairs.append((i, j))

    def norm_of(pair: tuple[int, int]) -> float:
        i, j = pair
        return nuclear_norm(rows[i].data.T @ columns[j].data, bound)

    norms = spread(norm_of, pairs)
    for (i, j), norm in zip(pairs, norms, strict=True):
        sums[i, j] = norm
        if symmetric:
            sums[j, i] = norm
    return sums


def leading(values: np.ndarray, variance: float) -> int:
    """Fewest components whose squared singular values reach a share ``variance`` of their sum."""
    share = np.cumsum(values**2) / np.sum(values**2)
    return min(int(np.searchsorted(share, variance * (1 - 4 * EPS))) + 1, len(values))


def prepare_shape(kernel: Kernel, options: dict) -> Prepared:
    """Scores of norm 1 on the principal components that ``variance`` asks for.

    With ``alpha`` below 1 the activations are partly whitened: singular values s become alpha s +
    1 - alpha, in units of their root mean square.
    """
    alpha = options["alpha"]
    whole = options["variance"] == 1
    if kernel.columns is not None and whole and alpha == 1:
        rank = kernel.rank_of(np.linalg.svd(kernel.columns, compute_uv=False))
        # scores are but a rotation of these
        return Prepared("", rank, kernel.columns, scale=kernel.scale)
    kept = len(kernel.singular_values)
    if not whole:
        kept = leading(kernel.singular_values, options["variance"])
    if alpha < 1:
        kept = min(kept, kernel.rank)  # whitening would blow up what is rounding
    factor = kernel.factor[:, :kept].astype(np.float64)
    if alpha < 1:
        values = kernel.singular_values[:kept]
        factor *= alpha + (1 - alpha) * np.sqrt(np.mean(values**2)) / values
    rank = kernel.rank if whole else kept
    return Prepared("", rank, factor / np.linalg.norm(factor), scale=kernel.scale)


def cosines(rows: Rows, columns: Rows) -> np.ndarray:
    """(A, B) cosines between shapes.

    What rounding cannot tell from 1 is 1, since distances would show the root of the difference.
    """
    cosine = nuclear_norms(rows, columns, bound=1.0)
    return np.where(cosine > 1 - 4 * EPS, 1.0, cosine)


def truncation(values: np.ndarray, options: dict) -> np.ndarray:
    """The remark on each value: were components left out?"""
    remark = TRUNCATED if options["variance"] < 1 else ""
    return np.full(values.shape, remark, dtype=object)


def check_shape(options: dict) -> None:
    """Raise ValueError for options of ``prepare_shape`` that are not allowed."""
    check_range(options, "variance", 0, 1)
    alpha = options["alpha"]
    if not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
        raise ValueError(
            f"option alpha: got {alpha!r}, expected a number from 0 (CCA) to 1 (Procrustes)"
        )


def basis(kernel: Kernel, kept: int) -> np.ndarray:
    """(n, kept) orthonormal basis of the leading principal subspace."""
    return kernel.factor[:, :kept].astype(np.float64) / kernel.singular_values[:kept]


def ranks(side: Rows) -> np.ndarray:
    """(R,) ranks, NaN for a representation without a value."""
    return np.array([item.rank or np.nan for item in side], dtype=float)


def saturation(rows: Rows, columns: Rows) -> np.ndarray:
    """(A, B) "saturated" where the ranks alone force some canonical correlations to 1."""
    n = clips_of(rows, columns, default=2)
    dimensions = np.add.outer(ranks(rows), ranks(columns))
    return np.where(dimensions > n - 1, SATURATED, "").astype(object)


def cross_cca(rows: Rows, columns: Rows, options: dict) -> Cells:
    """Means of canonical correlations, or of their squares with option ``squared``."""
    smaller = np.minimum.outer(ranks(rows), ranks(columns))
    if options.get("squared"):
        sums = _sums_of_squares(rows, columns)
    else:
        larger = np.maximum.outer(ranks(rows), ranks(columns))
        inside = larger >= clips_of(rows, columns, default=2) - 1  # one space holds the other
        sums = np.where(inside, smaller, nuclear_norms(rows, columns, skip=inside))
    values = np.clip(sums / smaller, 0, 1)
    return cells(values, rows, columns, saturation(rows, columns))


def _sums_of_squares(rows: Rows, columns: Rows) -> np.ndarray:
    """(A, B) sums of squared canonical correlations."""
    sums = np.full((len(rows), len(columns)), np.nan)
    for i, j in np.ndindex(sums.shape):
        if not (rows[i].flag or columns[j].flag):
            sums[i, j] = np.sum((rows[i].data.T @ columns[j].data) ** 2)
    return sums


def chance_cca(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """max(rank) / (n - 1), the mean squared correlation of unrelated bases.

    There is nothing in closed form for the plain mean.
    """
    n = clips_of(rows, columns, default=2)
    chance = np.maximum.outer(ranks(rows), ranks(columns)) / (n - 1)
    return chance if options.get("squared") else np.full_like(chance, np.nan)
