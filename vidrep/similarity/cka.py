"""Centred kernel alignment: linear (biased and debiased) and with a Gaussian kernel.

Kornblith et al. 2019 (arXiv:1905.00414); the debiased form uses U-centred kernels, Szekely and
Rizzo 2014 (arXiv:1310.2926), equivalent to the unbiased HSIC of Song et al. 2012 with a denominator
that cannot be negative.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import numpy as np

from vidrep.similarity import bilinear, linear
from vidrep.similarity.kernel import Activations, Kernel
from vidrep.similarity.measure import (
    CONSTANT,
    RANK_ZERO,
    Cells,
    Measure,
    Prepared,
    Rows,
    cells,
    check_choice,
    check_range,
)

SAME_GEOMETRY = frozenset({"permutation", "rotation", "scale", "offset"})


def double_centre(kernel: np.ndarray) -> np.ndarray:
    """A symmetric (n, n) kernel with the mean of every row and column removed."""
    mean = kernel.mean(axis=0)
    return kernel - mean - mean[:, None] + mean.mean()


def u_centre(kernel: np.ndarray) -> np.ndarray:
    """The U-centred (n, n) kernel: zero diagonal, off-diagonal rows that sum to zero. Needs n >= 4
    to be of use.
    """
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
    """An array scaled to Frobenius norm 1; undefined if only rounding is left of a kernel of trace
    about 1.
    """
    norm = float(np.linalg.norm(array))
    if norm < 64 * np.finfo(dtype).eps / len(array):
        return Prepared(RANK_ZERO, None)
    return Prepared("", None, (array / norm).astype(dtype))


class Linear(Prepared):
    """A linear kernel as it is compared: values need no array of it; intervals and nulls do, and
    have it made.

    Attributes:
        kernel: the summary, or the activations where there is none yet.
        trace: of the array of norm 1, known with the values.
    """

    def __init__(
        self, kernel: Activations | Kernel, array: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        super().__init__("" if isinstance(kernel, Activations) else kernel.flag, None)
        del self.data  # of the class below
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


def _prepare_biased(kernel: Kernel, options: dict) -> Prepared:
    return Linear(kernel, lambda matrix: matrix.astype(np.float64))


def _prepare_debiased(kernel: Kernel, options: dict) -> Prepared:
    return Linear(kernel, u_centre)


def _cross_linear(rows: Rows, columns: Rows, options: dict, debiased: bool) -> Cells:
    """All values from inner products of kernels and from their diagonals; flags what turns out to
    be undefined.

    The rows of a centred kernel sum to zero, so that U-centring takes only its diagonal k and its
    trace, 1, to be known: <K, L> without diagonals - 2 k.l / (n - 2) + 1 / ((n - 1)(n - 2)).
    """
    items = [item for item in (rows if columns is rows else (*rows, *columns)) if not item.flag]
    values = np.full((len(rows), len(columns)), np.nan)
    if items:
        inner, diagonals, eps = linear.inner_products([item.kernel for item in items])
        n = diagonals.shape[1]
        shared = diagonals @ diagonals.T
        inner += -2 / (n - 2) * shared + 1 / ((n - 1) * (n - 2)) if debiased else shared
        power = np.diag(inner)
        for item, square, floor in zip(items, power, 64 * eps * np.diag(shared), strict=True):
            item.flag = CONSTANT if np.isnan(square) else RANK_ZERO if square < floor else ""
            item.trace = 1 / np.sqrt(square) if not item.flag else np.nan
        norms = np.sqrt(np.where(power > 0, power, np.nan))
        place = {id(item): position for position, item in enumerate(items)}
        i, j = ([k for k, item in enumerate(side) if id(item) in place] for side in (rows, columns))
        chosen = np.ix_([place[id(rows[k])] for k in i], [place[id(columns[k])] for k in j])
        values[np.ix_(i, j)] = (inner / norms / norms[:, None])[chosen]
    return cells(values, rows, columns)


def squared_distances(kernel: Kernel) -> np.ndarray:
    """(n, n) squared Euclidean distances between clips, in units of the squared scale."""
    matrix = kernel.matrix.astype(np.float64)
    diagonal = np.diag(matrix)
    distances = np.maximum(diagonal[:, None] + diagonal - 2 * matrix, 0)
    np.fill_diagonal(distances, 0)
    return distances


def _prepare_rbf(kernel: Kernel, options: dict) -> Prepared:
    distances = squared_distances(kernel)
    if options["absolute"]:
        width = (options["bandwidth"] / kernel.scale) ** 2
    else:
        entries = (
            distances[np.triu_indices(kernel.n, 1)]
            if options["median"] == "distinct"
            else distances
        )
        width = options["bandwidth"] ** 2 * float(np.median(entries))
    if width <= 0:
        return Prepared(RANK_ZERO, None)
    gaussian = np.exp(-distances / (2 * width))
    return unit(
        u_centre(gaussian) if options["debiased"] else double_centre(gaussian), kernel.matrix.dtype
    )


def _check_rbf(options: dict) -> None:
    check_range(options, "bandwidth", 0, np.inf)
    check_choice(options, "median", ("distinct", "all"))
    check_choice(options, "debiased", (False, True))
    check_choice(options, "absolute", (False, True))


def _jackknife_biased(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """Dropping clip i and centring anew leaves <A, B> - 2 n/(n-1) A_i.B_i + (n/(n-1))^2 A_ii
    B_ii.
    """
    factor = _n(rows, columns) / (_n(rows, columns) - 1)
    diagonals = [
        np.array(
            [np.diag(item.data) if not item.flag else np.zeros(_n(rows, columns)) for item in side]
        )
        for side in (rows, columns)
    ]
    return _delete_one(rows, columns, 2 * factor, factor**2, *diagonals)


def _jackknife_debiased(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """Dropping clip i and U-centring anew leaves <A, B> - 2 (n-2)/(n-3) A_i.B_i."""
    n = _n(rows, columns)
    nothing = np.zeros((max(len(rows), len(columns)), n))
    return _delete_one(
        rows, columns, 2 * (n - 2) / (n - 3), 0, nothing[: len(rows)], nothing[: len(columns)]
    )


def _jackknife_rbf(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """As for the linear kernel, with the bandwidths held: their own uncertainty is left out."""
    return (_jackknife_debiased if options["debiased"] else _jackknife_biased)(
        rows, columns, options
    )


def _n(rows: Rows, columns: Rows) -> int:
    return next((len(item.data) for item in (*rows, *columns) if not item.flag), 1)


def _delete_one(
    rows: Rows,
    columns: Rows,
    row_weight: float,
    diagonal_weight: float,
    row_diagonal,
    column_diagonal,
) -> np.ndarray:
    """Jackknife standard errors of all pairs from the products of single rows; nothing is
    recomputed.
    """
    n = _n(rows, columns)
    norms = [
        _deleted_norms(side, row_weight, diagonal_weight, diagonal)
        for side, diagonal in ((rows, row_diagonal), (columns, column_diagonal))
    ]
    whole = bilinear.inner_products(rows, columns)
    total = np.zeros_like(whole)
    squares = np.zeros_like(whole)
    for i, product in enumerate(bilinear.row_products(rows, columns)):
        inner = whole - row_weight * product
        if diagonal_weight:
            inner += diagonal_weight * np.outer(row_diagonal[:, i], column_diagonal[:, i])
        change = inner / np.outer(norms[0][:, i], norms[1][:, i]) - whole
        total += change
        squares += change**2
    return np.sqrt(np.maximum(squares - total**2 / n, 0) * (n - 1) / n)


def _deleted_norms(
    side: Rows, row_weight: float, diagonal_weight: float, diagonal: np.ndarray
) -> np.ndarray:
    """(R, n) Frobenius norms of every array without clip i; 1 where there is no array."""
    norms = np.ones(diagonal.shape)
    for r, item in enumerate(side):
        if not item.flag:
            own = np.einsum("ij,ij->i", item.data, item.data, dtype=np.float64)
            left = (
                own.sum() - row_weight * own + diagonal_weight * diagonal[r].astype(np.float64) ** 2
            )
            norms[r] = np.sqrt(np.where(left > 0, left, np.nan))
    return norms


def _chance_biased(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """As ``bilinear.trace_chance``."""
    traces = [
        np.array([item.trace if not item.flag else np.nan for item in side])
        for side in (rows, columns)
    ]
    return np.outer(*traces) / (
        next((item.kernel.n for item in (*rows, *columns) if not item.flag), 2) - 1
    )


def _rbf_chance(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    return (bilinear.no_chance if options["debiased"] else bilinear.trace_chance)(
        rows, columns, options
    )


_SHARED = {
    "direction": "similarity",
    "identity": 1.0,
    "invariances": SAME_GEOMETRY,
    "cost": "n^2",
    "null": bilinear.shift_null,
    "light": True,
}
MEASURES = (
    Measure(
        "cka_linear",
        title="linear CKA",
        range=(0.0, 1.0),
        source="Kornblith et al. 2019",
        prepare=_prepare_biased,
        cross=partial(_cross_linear, debiased=False),
        chance=_chance_biased,
        tiled=True,
        jackknife=_jackknife_biased,
        **_SHARED,
    ),
    Measure(
        "cka_linear_debiased",
        title="linear CKA, debiased",
        range=(-1.0, 1.0),
        source="Szekely and Rizzo 2014; Murphy et al. 2024",
        prepare=_prepare_debiased,
        cross=partial(_cross_linear, debiased=True),
        tiled=True,
        chance=bilinear.no_chance,
        jackknife=_jackknife_debiased,
        **_SHARED,
    ),
    Measure(
        "cka_rbf",
        title="RBF CKA",
        range=(0.0, 1.0),
        source="Kornblith et al. 2019; median heuristic over distinct pairs",
        prepare=_prepare_rbf,
        cross=bilinear.cross,
        options={"bandwidth": 1.0, "absolute": False, "median": "distinct", "debiased": False},
        check=_check_rbf,
        chance=_rbf_chance,
        jackknife=_jackknife_rbf,
        **_SHARED,
    ),
)
