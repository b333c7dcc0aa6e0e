"""Soft matching distance: the Wasserstein distance between two clouds of units.

Khosla and Williams 2024 (arXiv:2311.09466). Each unit is the vector of its centred activations over
clips, all units of a representation equally heavy. Both clouds are brought to mean squared norm 1.
With equal widths the best transport is a permutation of units; unequal widths share units out (a
transport problem).
"""

from __future__ import annotations

import math

import numpy as np

from vidrep.similarity.kernel import Kernel
from vidrep.similarity.matching import Plan, check_widest, cross_matched, transport, units_of
from vidrep.similarity.measure import TOO_MANY_UNITS, Cells, Measure, Prepared, Rows


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    units = units_of(kernel, "soft_matching", options["widest"])
    if units is None:
        return Prepared(TOO_MANY_UNITS, None)
    return Prepared("", None, units * (math.sqrt(units.shape[1]) / np.linalg.norm(units)))


def _distance(x: np.ndarray, y: np.ndarray, plan: Plan) -> float:
    """Root of the mean squared distance of matched units.

    It is made from the differences, so that it is exact also where it is small.
    """
    left, right, shares = plan
    squares = ((x[:, left] - y[:, right]) ** 2).sum(axis=0)
    return math.sqrt(float(shares @ squares))


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    return cross_matched(rows, columns, transport, _distance)


MEASURE = Measure(
    "soft_matching",
    title="soft matching distance",
    direction="distance",
    range=(0.0, 2.0),
    identity=0.0,
    invariances=frozenset({"permutation", "scale", "offset"}),
    metric=True,
    cost="n d^2 + d^3",
    source="Khosla and Williams 2024",
    prepare=_prepare,
    cross=_cross,
    options={"widest": 2048},
    check=check_widest,
)
