"""Rank similarity of nearest neighbours: do two spaces agree on which one comes first?

Wang et al. 2020 ("Towards understanding the instability of network embedding", IEEE TKDE), as
printed in the survey of Klabunde et al. 2025 (doi:10.1145/3728458), section on neighbourhood
measures. Of the neighbours j that both spaces count among the k nearest of clip i, with ranks p and
q (1 is the nearest), the clip's value is the sum of 2 / ((1 + |p - q|) (p + q)) over its largest
possible value for so many of them, 1 + 1/2 + ... + 1/m; 0 where none is shared. The measure is the
mean over clips.

The largest value depends on how many neighbours are shared: a clip whose only shared neighbour is
the first on both sides scores 1. Read it beside ``knn_jaccard``, which counts them.
"""

from __future__ import annotations

import numpy as np

from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import (
    SAME_GEOMETRY,
    TIED_ROWS,
    TOO_FEW_ROWS,
    Cells,
    Measure,
    Prepared,
    Rows,
    cells,
    clips_of,
)
from vidrep.similarity.neighbours import MOST_TIED, check_neighbours, neighbour_distances

BLOCK = 1 << 22  # comparisons of neighbours held at once


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    """(n, k) row numbers of the nearest other clips, nearest first.

    Ties go to the smaller row number.
    """
    k = options["k"]
    if k >= kernel.n - 1:
        return Prepared(TOO_FEW_ROWS, None)
    distances = neighbour_distances(kernel, options)
    order = np.argsort(distances, axis=1, kind="stable")[:, : k + 1]
    nearest = np.take_along_axis(distances, order, axis=1)
    tied = (nearest[:, 1:] == nearest[:, :-1]).any(axis=1)
    if np.mean(tied) > MOST_TIED:
        return Prepared(TIED_ROWS, None)
    return Prepared("", None, order[:, :k].astype(np.int32))


def weights(k: int) -> np.ndarray:
    """(k, k) value of a shared neighbour with rank p + 1 on one side and q + 1 on the other."""
    ranks = np.arange(1, k + 1)
    apart = np.abs(np.subtract.outer(ranks, ranks))
    return 2 / ((1 + apart) * np.add.outer(ranks, ranks))


def largest(k: int) -> np.ndarray:
    """(k + 1,) largest sum of weights of 0..k shared neighbours; 1 for none, whose sum is 0."""
    return np.r_[1, np.cumsum(1 / np.arange(1, k + 1))]


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    """All pairs at once, a block of clips at a time.

    Every neighbour of one side is compared with every one of the other.
    """
    k = options["k"]
    n = clips_of(rows, columns)
    left = _lists(rows, n, k, -1)
    right = _lists(columns, n, k, -2)
    both = np.stack([weights(k).ravel(), np.ones(k * k)], axis=1)
    total = np.zeros((len(rows), len(columns)))
    bound = largest(k)
    step = max(1, BLOCK // (total.size * k * k))
    for start in range(0, n, step):
        a = left[:, None, start : start + step, :, None]
        b = right[None, :, start : start + step, None, :]
        same = (a == b).reshape(*total.shape, -1, k * k)  # (A, B, clips, k * k)
        sums = same.astype(np.float64) @ both
        weight = sums[..., 0]
        shared = sums[..., 1].astype(np.intp)
        total += (weight / bound[shared]).sum(axis=-1)
    return cells(total / n, rows, columns)


def _lists(side: Rows, n: int, k: int, nobody: int) -> np.ndarray:
    """(R, n, k) neighbours of all representations; ``nobody`` where there are none."""
    nothing = np.full((n, k), nobody, dtype=np.int32)
    return np.array([nothing if item.flag else item.data for item in side])


def _chance(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """Mean over the hypergeometric number of shared neighbours, each with any pair of ranks."""
    # takes most of a second to import, and only this function needs it
    from scipy.stats import hypergeom

    k = options["k"]
    others = max(clips_of(rows, columns) - 1, options["k"])
    shared = np.arange(k + 1)
    probability = hypergeom.pmf(shared, others, k, k)
    expected = np.sum(probability * shared * weights(k).mean() / largest(k))
    return np.full((len(rows), len(columns)), expected)


MEASURE = Measure(
    "knn_rank",
    title="neighbours, ranks",
    direction="similarity",
    range=(0.0, 1.0),
    identity=1.0,
    invariances=SAME_GEOMETRY,
    cost="n k^2",
    source="Wang et al. 2020; Klabunde et al. 2025",
    prepare=_prepare,
    cross=_cross,
    options={"k": 10, "metric": "euclidean"},
    check=check_neighbours,
    chance=_chance,
    light=True,
    arrays_per_rep=5.0,
    arrays_kept=0.1,
)
