"""Mutual nearest neighbours: the share of each clip's neighbours that both spaces have.

Huh et al. 2024 (arXiv:2405.07987).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from vidrep.similarity import bilinear
from vidrep.similarity.measure import SAME_GEOMETRY, Cells, Measure, Rows, cells
from vidrep.similarity.neighbours import check_neighbours, listed_clips, mean_overlap, nearest


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    k = options["k"]
    values = mean_overlap(rows, columns, lambda shared: shared / k)
    return cells(values, rows, columns)


def _chance(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """k / (n - 1): the expected share of common members of two random sets of k other clips."""
    others = max(listed_clips(rows, columns) - 1, 1)
    return np.full((len(rows), len(columns)), options["k"] / others)


MEASURE = Measure(
    "knn_mutual",
    title="neighbours, mutual",
    direction="similarity",
    range=(0.0, 1.0),
    identity=1.0,
    invariances=SAME_GEOMETRY,
    cost="n^2",
    source="Huh et al. 2024",
    prepare=nearest,
    cross=_cross,
    options={"k": 10, "metric": "euclidean"},
    check=check_neighbours,
    chance=_chance,
    null=partial(bilinear.shift_null, symmetric=False),
    light=True,
    arrays_per_rep=5.0,
    arrays_kept=0.1,
)
