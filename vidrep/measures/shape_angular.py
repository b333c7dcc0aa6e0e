"""Angle between two shapes after the best rotation, in radians.

Williams et al. 2021 (arXiv:2110.14739), of the same scores as ``procrustes``.
"""

from __future__ import annotations

import math

import numpy as np

from vidrep.similarity.measure import SAME_GEOMETRY, Cells, Measure, Rows, cells
from vidrep.similarity.nuclear import check_shape, cosines, prepare_shape, truncation


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    cosine = cosines(rows, columns)
    return cells(np.arccos(cosine), rows, columns, truncation(cosine, options))


MEASURE = Measure(
    "shape_angular",
    title="angular shape distance / rad",
    direction="distance",
    range=(0.0, math.pi / 2),
    identity=0.0,
    invariances=SAME_GEOMETRY,
    metric=True,
    cost="n r^2",
    source="Williams et al. 2021",
    prepare=prepare_shape,
    cross=_cross,
    options={"variance": 1.0, "alpha": 1.0},
    check=check_shape,
)
