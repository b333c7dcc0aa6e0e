"""Measures that are sums of singular values of Fx^T Fy: Procrustes and shape distances, CCA and
SVCCA.

Procrustes and angular distance: Williams et al. 2021 (arXiv:2110.14739), with Fx the principal
component scores of the centred activations of norm 1. Option ``alpha`` goes from Procrustes (1) to
CCA (0), the regularised CCA of the same paper: activations are partly whitened, singular values s
become alpha s + 1 - alpha, in units of their root mean square.
SVCCA: Raghu et al. 2017 (arXiv:1706.05806), mean CCA: Morcos et al. 2018 (arXiv:1806.05759), with
Fx an orthonormal basis of the (leading part of the) column space.
"""

from __future__ import annotations

import math

import numpy as np

from vidrep.similarity.cka import SAME_GEOMETRY
from vidrep.similarity.kernel import EPS, Kernel
from vidrep.similarity.machine import spread
from vidrep.similarity.measure import (
    SATURATED,
    TRUNCATED,
    Cells,
    Measure,
    Prepared,
    Rows,
    cells,
    check_choice,
    check_range,
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
        error = (
            float(np.sum(EPS * largest**2 / np.maximum(2 * values, math.sqrt(EPS) * largest)))
            if largest
            else np.inf
        )
        if error <= TOLERANCE * total and total < bound * (1 - NEAR_ONE):
            return total
    return float(np.linalg.svd(product, compute_uv=False).sum())


def nuclear_norms(
    rows: Rows, columns: Rows, bound: float = np.inf, skip: np.ndarray | None = None
) -> np.ndarray:
    """(A, B) sums of singular values of all products of factors, one pair a core.

    Args:
        bound: largest possible value, where precision near it matters.
        skip: (A, B) mask of pairs to leave NaN.
    """
    sums = np.full((len(rows), len(columns)), np.nan)
    symmetric = columns is rows
    pairs = [
        (i, j)
        for i, j in np.ndindex(sums.shape)
        if not (
            rows[i].flag
            or columns[j].flag
            or (symmetric and j < i)
            or (skip is not None and skip[i, j])
        )
    ]
    norms = spread(
        lambda pair: nuclear_norm(rows[pair[0]].data.T @ columns[pair[1]].data, bound), pairs
    )
    for (i, j), norm in zip(pairs, norms, strict=True):
        sums[i, j] = norm
        if symmetric:
            sums[j, i] = norm
    return sums


def leading(values: np.ndarray, variance: float) -> int:
    """Smallest number of components whose squared singular values reach the share ``variance`` of
    their sum.
    """
    share = np.cumsum(values**2) / np.sum(values**2)
    return min(int(np.searchsorted(share, variance * (1 - 4 * EPS))) + 1, len(values))


def _prepare_shape(kernel: Kernel, options: dict) -> Prepared:
    if kernel.columns is not None and options["variance"] == options["alpha"] == 1:
        rank = kernel.rank_of(np.linalg.svd(kernel.columns, compute_uv=False))
        # scores are but a rotation of these
        return Prepared("", rank, kernel.columns, scale=kernel.scale)
    kept = (
        leading(kernel.singular_values, options["variance"])
        if options["variance"] < 1
        else len(kernel.singular_values)
    )
    if options["alpha"] < 1:
        kept = min(kept, kernel.rank)  # whitening would blow up what is rounding
    factor = kernel.factor[:, :kept].astype(np.float64)
    if options["alpha"] < 1:
        values = kernel.singular_values[:kept]
        factor *= options["alpha"] + (1 - options["alpha"]) * np.sqrt(np.mean(values**2)) / values
    return Prepared(
        "",
        kernel.rank if options["variance"] == 1 else kept,
        factor / np.linalg.norm(factor),
        scale=kernel.scale,
    )


def _cosines(rows: Rows, columns: Rows) -> np.ndarray:
    """(A, B) cosines; what rounding cannot tell from 1 is 1, since distances would show the root of
    the difference.
    """
    cosines = nuclear_norms(rows, columns, bound=1.0)
    return np.where(cosines > 1 - 4 * EPS, 1.0, cosines)


def _cross_procrustes(rows: Rows, columns: Rows, options: dict) -> Cells:
    cosine = _cosines(rows, columns)
    sizes = [np.array([item.scale or np.nan for item in side]) for side in (rows, columns)]
    values = {
        "distance": lambda: np.sqrt(2 - 2 * cosine),
        "squared": lambda: 2 - 2 * cosine,
        "cosine": lambda: cosine,
        "size_and_shape": lambda: np.sqrt(
            np.subtract.outer(*sizes) ** 2 + 2 * np.outer(*sizes) * (1 - cosine)
        ),
    }[options["form"]]()
    return cells(values, rows, columns, _truncation(cosine, options))


def _cross_angular(rows: Rows, columns: Rows, options: dict) -> Cells:
    cosine = _cosines(rows, columns)
    return cells(np.arccos(cosine), rows, columns, _truncation(cosine, options))


def _truncation(values: np.ndarray, options: dict) -> np.ndarray:
    return np.full(values.shape, TRUNCATED if options["variance"] < 1 else "", dtype=object)


def _check_shape(options: dict) -> None:
    _check_angular(options)
    check_choice(options, "form", ("distance", "squared", "cosine", "size_and_shape"))
    if options["form"] == "size_and_shape" and options["alpha"] < 1:
        raise ValueError(
            "option alpha: partly whitened activations have no size; use form distance, squared or"
            " cosine"
        )


def _check_angular(options: dict) -> None:
    check_range(options, "variance", 0, 1)
    if not isinstance(options["alpha"], (int, float)) or not 0 <= options["alpha"] <= 1:
        raise ValueError(
            f"option alpha: got {options['alpha']!r}, expected a number from 0 (CCA) to 1"
            " (Procrustes)"
        )


def basis(kernel: Kernel, kept: int) -> np.ndarray:
    """(n, kept) orthonormal basis of the leading principal subspace."""
    return kernel.factor[:, :kept].astype(np.float64) / kernel.singular_values[:kept]


def _prepare_cca(kernel: Kernel, options: dict) -> Prepared:
    return Prepared("", kernel.rank, basis(kernel, kernel.rank))


def _prepare_svcca(kernel: Kernel, options: dict) -> Prepared:
    kept = leading(kernel.singular_values[: kernel.rank], options["variance"])
    return Prepared("", kept, basis(kernel, kept))


def _clips(rows: Rows, columns: Rows) -> int:
    return next((len(item.data) for item in (*rows, *columns) if not item.flag), 2)


def ranks(side: Rows) -> np.ndarray:
    """(R,) ranks, NaN for a representation without a value."""
    return np.array([item.rank or np.nan for item in side], dtype=float)


def saturation(rows: Rows, columns: Rows) -> np.ndarray:
    """(A, B) "saturated" where the ranks alone force some canonical correlations to 1."""
    n = _clips(rows, columns)
    return np.where(np.add.outer(ranks(rows), ranks(columns)) > n - 1, SATURATED, "").astype(object)


def _cross_cca(rows: Rows, columns: Rows, options: dict) -> Cells:
    smaller = np.minimum.outer(ranks(rows), ranks(columns))
    if options.get("squared"):
        values = np.array(
            [
                [
                    np.sum((a.data.T @ b.data) ** 2) if not a.flag and not b.flag else np.nan
                    for b in columns
                ]
                for a in rows
            ]
        )
    else:
        # one space holds the other
        inside = np.maximum.outer(ranks(rows), ranks(columns)) >= _clips(rows, columns) - 1
        values = np.where(inside, smaller, nuclear_norms(rows, columns, skip=inside))
    return cells(np.clip(values / smaller, 0, 1), rows, columns, saturation(rows, columns))


def _chance_cca(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """max(rank) / (n - 1), the mean squared correlation of unrelated bases; nothing in closed form
    for the plain mean.
    """
    chance = np.maximum.outer(ranks(rows), ranks(columns)) / (_clips(rows, columns) - 1)
    return chance if options.get("squared") else np.full_like(chance, np.nan)


_SHAPE = {
    "direction": "distance",
    "identity": 0.0,
    "invariances": SAME_GEOMETRY,
    "metric": True,
    "cost": "n r^2",
    "source": "Williams et al. 2021",
    "prepare": _prepare_shape,
}
_CCA = {
    "direction": "similarity",
    "range": (0.0, 1.0),
    "identity": 1.0,
    "cost": "n r^2",
    "cross": _cross_cca,
    "chance": _chance_cca,
}
MEASURES = (
    Measure(
        "procrustes",
        title="Procrustes distance",
        range=(0.0, math.sqrt(2)),
        cross=_cross_procrustes,
        options={"form": "distance", "variance": 1.0, "alpha": 1.0},
        check=_check_shape,
        turned=lambda options: options["form"] == "cosine",
        **_SHAPE,
    ),
    Measure(
        "shape_angular",
        title="angular shape distance / rad",
        range=(0.0, math.pi / 2),
        cross=_cross_angular,
        options={"variance": 1.0, "alpha": 1.0},
        check=_check_angular,
        **_SHAPE,
    ),
    Measure(
        "cca_mean",
        title="mean CCA",
        invariances=SAME_GEOMETRY | {"linear"},
        source="Hotelling 1936; Morcos et al. 2018",
        prepare=_prepare_cca,
        options={"squared": False},
        check=lambda options: check_choice(options, "squared", (False, True)),
        **_CCA,
    ),
    Measure(
        "svcca",
        title="SVCCA",
        invariances=SAME_GEOMETRY,
        source="Raghu et al. 2017",
        prepare=_prepare_svcca,
        options={"variance": 0.99},
        check=lambda options: check_range(options, "variance", 0, 1),
        **_CCA,
    ),
)
