"""Overlap of nearest neighbours between two spaces.

Mutual k-NN: Huh et al. 2024 (arXiv:2405.07987); Jaccard form: Wang et al. 2020, Hryniowski and Wong 2020 (see the survey of
Klabunde et al. 2025, doi:10.1145/3728458). The neighbours of every clip are found once per representation; overlaps of all
pairs of representations are inner products of their 0/1 neighbour arrays.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from vidrep.similarity import bilinear
from vidrep.similarity.cka import SAME_GEOMETRY, squared_distances
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import TIED_ROWS, TOO_FEW_ROWS, Cells, Measure, Prepared, Rows, cells, check_choice

MOST_TIED = 0.5  # share of clips whose last neighbour may be a matter of row order


def neighbour_distances(kernel: Kernel, options: dict) -> np.ndarray:
    """(n, n) distances that order the neighbours of a clip, rounded so that equal ones are equal; infinite to itself."""
    distances, power = squared_distances(kernel), np.diag(kernel.matrix).astype(np.float64)
    if options["metric"] == "cosine":
        norms = np.sqrt(np.maximum(power, np.finfo(float).tiny))
        distances, power = 1 - kernel.matrix / norms[:, None] / norms, np.ones(kernel.n)
    step = 16 * float(np.finfo(kernel.matrix.dtype).eps) * np.maximum(power, np.median(power))
    distances = np.round(distances / step[:, None])
    np.fill_diagonal(distances, np.inf)
    return distances


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    """(n, n) array, 1 where column j is among the k nearest other clips of row i; ties go to the smaller row number."""
    k, n = options["k"], kernel.n
    if k >= n - 1:
        return Prepared(TOO_FEW_ROWS, None)
    distances = neighbour_distances(kernel, options)
    last = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    nearer, tied = distances < last, distances == last
    places = k - nearer.sum(axis=1, keepdims=True)
    if np.mean(tied.sum(axis=1, keepdims=True) > places) > MOST_TIED:
        return Prepared(TIED_ROWS, None)
    chosen = nearer | (tied & (np.cumsum(tied, axis=1, dtype=np.int32) <= places))
    return Prepared("", None, chosen.astype(np.float32))


def _cross_mutual(rows: Rows, columns: Rows, options: dict) -> Cells:
    shared = bilinear.inner_products(rows, columns)
    return cells(shared / (options["k"] * _clips(rows, columns)), rows, columns)


def _cross_jaccard(rows: Rows, columns: Rows, options: dict) -> Cells:
    total = np.zeros((len(rows), len(columns)))
    for shared in bilinear.row_products(rows, columns):
        total += shared / (2 * options["k"] - shared)
    return cells(total / _clips(rows, columns), rows, columns)


def _clips(rows: Rows, columns: Rows) -> int:
    return next((len(item.data) for item in (*rows, *columns) if not item.flag), 1)


def _chance_mutual(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """k / (n - 1), the expected share of common members of two random sets of k among the other clips."""
    return np.full((len(rows), len(columns)), options["k"] / max(_clips(rows, columns) - 1, 1))


def _chance_jaccard(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """Mean of s / (2k - s) for the hypergeometric number s of common members."""
    from scipy.stats import hypergeom  # takes most of a second to import, and only this function needs it

    k, others = options["k"], max(_clips(rows, columns) - 1, options["k"])
    shared = np.arange(k + 1)
    return np.full((len(rows), len(columns)), np.sum(hypergeom.pmf(shared, others, k, k) * shared / (2 * k - shared)))


def _check(options: dict) -> None:
    if not isinstance(options["k"], int) or options["k"] < 1:
        raise ValueError(f"option k: got {options['k']!r}, expected a whole number of at least 1")
    check_choice(options, "metric", ("euclidean", "cosine"))


SHARED = {
    "direction": "similarity",
    "range": (0.0, 1.0),
    "identity": 1.0,
    "invariances": SAME_GEOMETRY,
    "cost": "n^2",
    "options": {"k": 10, "metric": "euclidean"},
    "check": _check,
    "prepare": _prepare,
    "light": True,
}
MEASURES = (
    Measure(
        "knn_jaccard",
        source="Klabunde et al. 2025, section 4.4",
        cross=_cross_jaccard,
        chance=_chance_jaccard,
        **SHARED,
    ),
    Measure(
        "knn_mutual",
        source="Huh et al. 2024",
        cross=_cross_mutual,
        chance=_chance_mutual,
        null=partial(bilinear.shift_null, symmetric=False),
        **SHARED,
    ),
)
