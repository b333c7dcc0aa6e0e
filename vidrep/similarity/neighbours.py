"""The nearest neighbours of every clip, found once per representation.

All pairs of representations are compared by these lists.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from vidrep.similarity.cka import squared_distances
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.machine import spread
from vidrep.similarity.measure import (
    TIED_ROWS,
    TOO_FEW_ROWS,
    Prepared,
    Rows,
    check_choice,
)

BLOCK = 64  # clips counted by one core
MOST_TIED = 0.5  # share of clips whose last neighbour may be a matter of row order


def neighbour_distances(kernel: Kernel, options: dict) -> np.ndarray:
    """(n, n) distances that order the neighbours of a clip; infinite to itself.

    They are rounded, so that equal ones are equal.
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
        # no data here: they are made below when they are asked for
        self.flag = ""
        self.rank = None
        self.lists = lists

    @cached_property
    def data(self) -> np.ndarray:
        """(n, n) array, 1 where column j is a neighbour of row i; only permutations ask for it."""
        array = np.zeros((len(self.lists), len(self.lists)), dtype=np.float32)
        np.put_along_axis(array, self.lists, 1, axis=1)
        return array


def nearest(kernel: Kernel, options: dict) -> Prepared:
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
    too_many = tied.sum(axis=1, keepdims=True) > places
    if np.mean(too_many) > MOST_TIED:
        return Prepared(TIED_ROWS, None)
    first_of_tied = np.cumsum(tied, axis=1, dtype=np.int32) <= places
    chosen = nearer | (tied & first_of_tied)
    return Neighbours(np.nonzero(chosen)[1].reshape(n, k))


def mean_overlap(
    rows: Rows, columns: Rows, score: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """(A, B) means over clips of ``score`` of the number of neighbours that a pair shares."""
    values = np.full((len(rows), len(columns)), np.nan)
    i = [k for k, item in enumerate(rows) if not item.flag]
    j = [k for k, item in enumerate(columns) if not item.flag]
    if not i or not j:
        return values
    left = np.array([rows[k].lists for k in i])  # (A, n, k)
    right = np.array([columns[k].lists for k in j])  # (B, n, k)
    n = left.shape[1]
    each = np.arange(len(left))[:, None]

    def total(clips: range) -> np.ndarray:
        member = np.zeros((len(left), n), dtype=np.uint8)
        sums = np.zeros((len(left), len(right)))
        for clip in clips:
            member[each, left[:, clip]] = 1
            found = member[:, right[:, clip].ravel()]
            member[each, left[:, clip]] = 0
            shared = found.reshape(len(left), len(right), -1).sum(axis=2)
            sums += score(shared)
        return sums

    blocks = [range(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
    values[np.ix_(i, j)] = sum(spread(total, blocks)) / n
    return values


def listed_clips(rows: Rows, columns: Rows) -> int:
    """Clips of the lists; 1 if there are none."""
    for item in (*rows, *columns):
        if not item.flag:
            return len(item.lists)
    return 1


def check_neighbours(options: dict) -> None:
    """Raise ValueError for options of ``neighbour_distances`` that are not allowed."""
    if not isinstance(options["k"], int) or options["k"] < 1:
        raise ValueError(f"option k: got {options['k']!r}, expected a whole number of at least 1")
    check_choice(options, "metric", ("euclidean", "cosine"))
