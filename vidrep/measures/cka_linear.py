"""Linear centred kernel alignment as it was first defined, biased upwards with few clips.

Kornblith et al. 2019 (arXiv:1905.00414).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from vidrep.similarity import bilinear
from vidrep.similarity.cka import Linear, cross_linear, jackknife_biased
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import SAME_GEOMETRY, Measure, Rows


def _prepare(kernel: Kernel, options: dict) -> Linear:
    return Linear(kernel, lambda matrix: matrix.astype(np.float64))


def _chance(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """As ``bilinear.trace_chance``, from traces that are known with the values."""
    known = [item.kernel.n for item in (*rows, *columns) if not item.flag]
    n = known[0] if known else 2
    left = np.array([np.nan if item.flag else item.trace for item in rows])
    right = np.array([np.nan if item.flag else item.trace for item in columns])
    return np.outer(left, right) / (n - 1)


MEASURE = Measure(
    "cka_linear",
    title="linear CKA",
    direction="similarity",
    range=(0.0, 1.0),
    identity=1.0,
    invariances=SAME_GEOMETRY,
    cost="n^2",
    source="Kornblith et al. 2019",
    prepare=_prepare,
    cross=partial(cross_linear, debiased=False),
    chance=_chance,
    jackknife=jackknife_biased,
    null=bilinear.shift_null,
    light=True,
    tiled=True,
)
