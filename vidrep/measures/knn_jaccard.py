"""Jaccard overlap of the nearest neighbours of each clip.

Wang et al. 2020, Hryniowski and Wong 2020; see the survey of Klabunde et al. 2025
(doi:10.1145/3728458).
"""

from __future__ import annotations

import numpy as np

from vidrep.similarity.measure import SAME_GEOMETRY, Cells, Measure, Rows, cells
from vidrep.similarity.neighbours import check_neighbours, listed_clips, mean_overlap, nearest


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    k = options["k"]
    values = mean_overlap(rows, columns, lambda shared: shared / (2 * k - shared))
    return cells(values, rows, columns)


def _chance(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """Mean of s / (2k - s) for the hypergeometric number s of common members."""
    # takes most of a second to import, and only this function needs it
    from scipy.stats import hypergeom

    k = options["k"]
    others = max(listed_clips(rows, columns) - 1, k)
    shared = np.arange(k + 1)
    expected = np.sum(hypergeom.pmf(shared, others, k, k) * shared / (2 * k - shared))
    return np.full((len(rows), len(columns)), expected)


MEASURE = Measure(
    "knn_jaccard",
    title="neighbours, Jaccard",
    direction="similarity",
    range=(0.0, 1.0),
    identity=1.0,
    invariances=SAME_GEOMETRY,
    cost="n^2",
    source="Klabunde et al. 2025, section 4.4",
    prepare=nearest,
    cross=_cross,
    options={"k": 10, "metric": "euclidean"},
    check=check_neighbours,
    chance=_chance,
    light=True,
    arrays_per_rep=5.0,
    arrays_kept=0.1,
)
