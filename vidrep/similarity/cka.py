"""Centred kernel alignment: what its linear and its Gaussian form share.

Kornblith et al. 2019 (arXiv:1905.00414); the debiased form uses U-centred kernels, Szekely and
Rizzo 2014 (arXiv:1310.2926).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from vidrep.similarity import bilinear, linear
from vidrep.similarity.kernel import Activations, Kernel
from vidrep.similarity.measure import (
    CONSTANT,
    RANK_ZERO,
    Cells,
    Prepared,
    Rows,
    cells,
    clips_of,
)


def double_centre(kernel: np.ndarray) -> np.ndarray:
    """A symmetric (n, n) kernel with the mean of every row and column removed."""
    mean = kernel.mean(axis=0)
    return kernel - mean - mean[:, None] + mean.mean()


def u_centre(kernel: np.ndarray) -> np.ndarray:
    """The U-centred (n, n) kernel, n at least 4: zero diagonal, rows that sum to zero."""
    n = len(kernel)
    centred = kernel.astype(np.float64)
    np.fill_diagonal(centred, 0)
    row = centred.sum(axis=0) / (n - 2)
    centred -= row
    centred -= row[:, None]
    centred += row.sum() / (n - 1)
    np.fill_diagonal(centred, 0)
    return centred


def unit(array: np.ndarray, dtype: np.dtype) -> Prepared:
    """An array scaled to Frobenius norm 1.

    Undefined if only rounding is left of a kernel of trace about 1.
    """
    norm = float(np.linalg.norm(array))
    if norm < 64 * np.finfo(dtype).eps / len(array):
        return Prepared(RANK_ZERO, None)
    return Prepared("", None, (array / norm).astype(dtype))


class Linear(Prepared):
    """A linear kernel as it is compared.

    Values need no array of it; intervals and nulls do, and have it made.

    Attributes:
        kernel: the summary, or the activations where there is none yet.
        trace: of the array of norm 1, known with the values.
    """

    def __init__(
        self, kernel: Activations | Kernel, array: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        # no data here: they are made below when they are asked for
        self.flag = "" if isinstance(kernel, Activations) else kernel.flag
        self.rank = None
        self.kernel = kernel
        self.trace = np.nan
        self._array = array

    @cached_property
    def data(self) -> np.ndarray | None:
        """(n, n) array of norm 1, None where there is none."""
        kernel = self.kernel.load()
        made = unit(self._array(kernel.matrix), kernel.matrix.dtype)
        self.flag = self.flag or kernel.flag or made.flag
        return made.data


def cross_linear(rows: Rows, columns: Rows, options: dict, debiased: bool) -> Cells:
    """All values from inner products of kernels and from their diagonals.

    Flags representations that turn out to be undefined.
    """
    both = rows if columns is rows else (*rows, *columns)
    items = [item for item in both if not item.flag]
    values = np.full((len(rows), len(columns)), np.nan)
    if items:
        found = _linear_values(items, debiased)
        place = {id(item): position for position, item in enumerate(items)}
        i = [k for k, item in enumerate(rows) if id(item) in place]
        j = [k for k, item in enumerate(columns) if id(item) in place]
        first = [place[id(rows[k])] for k in i]
        second = [place[id(columns[k])] for k in j]
        values[np.ix_(i, j)] = found[np.ix_(first, second)]
    return cells(values, rows, columns)


def _linear_values(items: Rows, debiased: bool) -> np.ndarray:
    """(R, R) values; gives every item its trace, and a flag where it is undefined.

    The rows of a centred kernel sum to zero, so that U-centring takes only its diagonal k and its
    trace, 1, to be known: <K, L> without diagonals - 2 k.l / (n - 2) + 1 / ((n - 1)(n - 2)).
    """
    inner, diagonals, eps = linear.inner_products([item.kernel for item in items])
    n = diagonals.shape[1]
    shared = diagonals @ diagonals.T
    inner += -2 / (n - 2) * shared + 1 / ((n - 1) * (n - 2)) if debiased else shared
    power = np.diag(inner)
    smallest = 64 * eps * np.diag(shared)
    for item, square, floor in zip(items, power, smallest, strict=True):
        if np.isnan(square):
            item.flag = CONSTANT
        elif square < floor:
            item.flag = RANK_ZERO
        else:
            item.flag = ""
        item.trace = np.nan if item.flag else 1 / np.sqrt(square)
    norms = np.sqrt(np.where(power > 0, power, np.nan))
    return inner / norms / norms[:, None]


def squared_distances(kernel: Kernel) -> np.ndarray:
    """(n, n) squared Euclidean distances between clips, in units of the squared scale."""
    matrix = kernel.matrix.astype(np.float64)
    diagonal = np.diag(matrix)
    distances = np.maximum(diagonal[:, None] + diagonal - 2 * matrix, 0)
    np.fill_diagonal(distances, 0)
    return distances


def jackknife_biased(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """(A, B) delete-one-clip standard errors of products of doubly centred kernels.

    Dropping clip i and centring anew leaves <A, B> - 2 n/(n-1) A_i.B_i + (n/(n-1))^2 A_ii B_ii.
    """
    n = clips_of(rows, columns)
    factor = n / (n - 1)
    return _delete_one(
        rows, columns, 2 * factor, factor**2, _diagonals(rows, n), _diagonals(columns, n)
    )


def jackknife_debiased(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """(A, B) delete-one-clip standard errors of products of U-centred kernels.

    Dropping clip i and U-centring anew leaves <A, B> - 2 (n-2)/(n-3) A_i.B_i.
    """
    n = clips_of(rows, columns)
    row_weight = 2 * (n - 2) / (n - 3)
    return _delete_one(
        rows, columns, row_weight, 0, np.zeros((len(rows), n)), np.zeros((len(columns), n))
    )


def _diagonals(side: Rows, n: int) -> np.ndarray:
    """(R, n) diagonals of all arrays, zero where there is none."""
    return np.array([np.zeros(n) if item.flag else np.diag(item.data) for item in side])


def _delete_one(
    rows: Rows,
    columns: Rows,
    row_weight: float,
    diagonal_weight: float,
    row_diagonal: np.ndarray,
    column_diagonal: np.ndarray,
) -> np.ndarray:
    """Jackknife standard errors of all pairs from the products of single rows.

    Nothing is recomputed.
    """
    n = clips_of(rows, columns)
    row_norms = _deleted_norms(rows, row_weight, diagonal_weight, row_diagonal)
    column_norms = _deleted_norms(columns, row_weight, diagonal_weight, column_diagonal)
    whole = bilinear.inner_products(rows, columns)
    total = np.zeros_like(whole)
    squares = np.zeros_like(whole)
    for i, product in enumerate(bilinear.row_products(rows, columns)):
        inner = whole - row_weight * product
        if diagonal_weight:
            inner += diagonal_weight * np.outer(row_diagonal[:, i], column_diagonal[:, i])
        change = inner / np.outer(row_norms[:, i], column_norms[:, i]) - whole
        total += change
        squares += change**2
    return np.sqrt(np.maximum(squares - total**2 / n, 0) * (n - 1) / n)


def _deleted_norms(
    side: Rows,
    row_weight: float,
    diagonal_weight: float,
    diagonal: np.ndarray,
) -> np.ndarray:
    """(R, n) Frobenius norms of every array without clip i; 1 where there is no array."""
    norms = np.ones(diagonal.shape)
    for r, item in enumerate(side):
        if item.flag:
            continue
        own = np.einsum("ij,ij->i", item.data, item.data, dtype=np.float64)
        squares = diagonal[r].astype(np.float64) ** 2
        left = own.sum() - row_weight * own + diagonal_weight * squares
        norms[r] = np.sqrt(np.where(left > 0, left, np.nan))
    return norms
