"""Overlap of nearest neighbours between two spaces.

Mutual k-NN: Huh et al. 2024 (arXiv:2405.07987); Jaccard form: Wang et al. 2020, Hryniowski and Wong
2020 (see the survey of Klabunde et al. 2025, doi:10.1145/3728458). The neighbours of every clip are
found once per representation; all pairs of representations are compared by these lists.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial

import numpy as np

from vidrep.similarity import bilinear
from vidrep.similarity.cka import SAME_GEOMETRY, squared_distances
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.machine import spread
from vidrep.similarity.measure import (
    TIED_ROWS,
    TOO_FEW_ROWS,
    Cells,
    Measure,
    Prepared,
    Rows,
    cells,
    check_choice,
)

MOST_TIED = 0.5  # share of clips whose last neighbour may be a matter of row order


def neighbour_distances(kernel: Kernel, options: dict) -> np.ndarray:
    """(n, n) distances that order the neighbours of a clip, rounded so that equal ones are equal;
    infinite to itself.
    """
    distances = squared_distances(kernel)
    power = np.diag(kernel.matrix).astype(np.float64)
    if options["metric"] == "cosine":
        norms = np.sqrt(np.maximum(power, np.finfo(float).tiny))
        distances = 1 - kernel.matrix / norms[:, None] / norms
        power = np.ones(kernel.n)
    step = 16 * float(np.finfo(kernel.matrix.dtype).eps) * np.maximum(power, np.median(power))
    distances = np.round(distances / step[:, None])
    np.fill_diagonal(distances, np.inf)
    return distances


class Neighbours(Prepared):
    """Neighbours of every clip.

    Attributes:
        lists: (n, k) row numbers of the nearest clips, in increasing order.
    """

    def __init__(self, lists: np.ndarray) -> None:
        super().__init__("", None)
        del self.data  # of the class below
        self.lists = lists

    @cached_property
    def data(self) -> np.ndarray:
        """(n, n) array, 1 where column j is a neighbour of row i; only permutations ask for it."""
        array = np.zeros((len(self.lists), len(self.lists)), dtype=np.float32)
        np.put_along_axis(array, self.lists, 1, axis=1)
        return array


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    """The k nearest other clips of every clip; ties go to the smaller row number."""
    k = options["k"]
    n = kernel.n
    if k >= n - 1:
        return Prepared(TOO_FEW_ROWS, None)
    distances = neighbour_distances(kernel, options)
    last = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    nearer = distances < last
    tied = distances == last
    places = k - nearer.sum(axis=1, keepdims=True)
    if np.mean(tied.sum(axis=1, keepdims=True) > places) > MOST_TIED:
        return Prepared(TIED_ROWS, None)
    chosen = nearer | (tied & (np.cumsum(tied, axis=1, dtype=np.int32) <= places))
    return Neighbours(np.nonzero(chosen)[1].reshape(n, k))


def _mean_overlap(
    rows: Rows, columns: Rows, score: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """(A, B) means over clips of ``score`` of the number of neighbours that a pair of
    representations shares.
    """
    values = np.full((len(rows), len(columns)), np.nan)
    i, j = ([k for k, item in enumerate(side) if not item.flag] for side in (rows, columns))
    if not i or not j:
        return values
    left, right = (
        np.array([side[k].lists for k in known]) for side, known in ((rows, i), (columns, j))
    )
    n = left.shape[1]

    def total(clips: range) -> np.ndarray:
        member = np.zeros((len(left), n), dtype=np.uint8)
        sums = np.zeros((len(left), len(right)))
        for clip in clips:
            member[np.arange(len(left))[:, None], left[:, clip]] = 1
            shared = (
                member[:, right[:, clip].ravel()].reshape(len(left), len(right), -1).sum(axis=2)
            )
            member[np.arange(len(left))[:, None], left[:, clip]] = 0
            sums += score(shared)
        return sums

    values[np.ix_(i, j)] = (
        sum(spread(total, [range(start, min(start + 64, n)) for start in range(0, n, 64)])) / n
    )
    return values


def _cross_mutual(rows: Rows, columns: Rows, options: dict) -> Cells:
    return cells(_mean_overlap(rows, columns, lambda shared: shared / options["k"]), rows, columns)


def _cross_jaccard(rows: Rows, columns: Rows, options: dict) -> Cells:
    return cells(
        _mean_overlap(rows, columns, lambda shared: shared / (2 * options["k"] - shared)),
        rows,
        columns,
    )


def _clips(rows: Rows, columns: Rows) -> int:
    return next((len(item.lists) for item in (*rows, *columns) if not item.flag), 1)


def _chance_mutual(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """k / (n - 1), the expected share of common members of two random sets of k among the other
    clips.
    """
    return np.full((len(rows), len(columns)), options["k"] / max(_clips(rows, columns) - 1, 1))


def _chance_jaccard(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """Mean of s / (2k - s) for the hypergeometric number s of common members."""
    # takes most of a second to import, and only this function needs it
    from scipy.stats import hypergeom

    k = options["k"]
    others = max(_clips(rows, columns) - 1, options["k"])
    shared = np.arange(k + 1)
    return np.full(
        (len(rows), len(columns)),
        np.sum(hypergeom.pmf(shared, others, k, k) * shared / (2 * k - shared)),
    )


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
    "arrays_per_rep": 5.0,
    "arrays_kept": 0.1,
}
MEASURES = (
    Measure(
        "knn_jaccard",
        title="neighbours, Jaccard",
        source="Klabunde et al. 2025, section 4.4",
        cross=_cross_jaccard,
        chance=_chance_jaccard,
        **SHARED,
    ),
    Measure(
        "knn_mutual",
        title="neighbours, mutual",
        source="Huh et al. 2024",
        cross=_cross_mutual,
        chance=_chance_mutual,
        null=partial(bilinear.shift_null, symmetric=False),
        **SHARED,
    ),
)
