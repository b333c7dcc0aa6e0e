"""Mean correlation of units paired one to one so that it is largest.

Li et al. 2016 (arXiv:1511.07543). Of the wider side, units without a partner are left out. Option
``plan`` "soft" shares them out as ``soft_matching`` does instead.
"""

from __future__ import annotations

import numpy as np

from vidrep.similarity.kernel import Kernel
from vidrep.similarity.matching import (
    Plan,
    assign,
    check_widest,
    cross_matched,
    transport,
    units_of,
)
from vidrep.similarity.measure import TOO_MANY_UNITS, Cells, Measure, Prepared, Rows, check_choice


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    units = units_of(kernel, "unit_correlation", options["widest"])
    if units is None:
        return Prepared(TOO_MANY_UNITS, None)
    units = units / np.abs(units).max(axis=0)  # squares of tiny units must not vanish
    return Prepared("", None, units / np.linalg.norm(units, axis=0))


def _correlation(x: np.ndarray, y: np.ndarray, plan: Plan) -> float:
    left, right, shares = plan
    return float(shares @ np.einsum("ij,ij->j", x[:, left], y[:, right]))


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    plan_of = transport if options["plan"] == "soft" else assign
    return cross_matched(rows, columns, plan_of, _correlation)


def _check(options: dict) -> None:
    check_widest(options)
    check_choice(options, "plan", ("one_to_one", "soft"))


MEASURE = Measure(
    "unit_correlation",
    title="correlation of matched units",
    direction="similarity",
    range=(-1.0, 1.0),
    identity=1.0,
    invariances=frozenset({"permutation", "scale", "feature_scale", "offset"}),
    cost="n d^2 + d^3",
    source="Li et al. 2016",
    prepare=_prepare,
    cross=_cross,
    options={"plan": "one_to_one", "widest": 2048},
    check=_check,
)
