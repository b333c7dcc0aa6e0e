"""Matching of single units: the measures that see which axes a code uses, as a rotation of the
features changes them.

``soft_matching``: Khosla and Williams 2024 (arXiv:2311.09466), the Wasserstein distance between two
clouds of units, each unit the vector of its centred activations over clips, all units of a
representation equally heavy. Both clouds are brought to mean squared norm 1. With equal widths the
best transport is a permutation of units; unequal widths share units out (a transport problem).

``unit_correlation``: Li et al. 2016 (arXiv:1511.07543), the mean correlation of units paired one to
one so that it is largest; of the wider side, units without a partner are left out. Option ``plan``
"soft" shares them out as above instead.

Matching looks for agreement, so values between unrelated representations are not zero: with few
clips and many units every unit finds some partner. Read them beside the untrained floor. Units that
never change are left out on both sides.

All solutions are exact: assignments by SciPy, unequal widths by the network simplex of POT (Flamary
et al. 2021). Both cost about the third power of the width, a second at 2,048 units, so wider
representations than ``widest`` have no value here ("too_many_units").
"""

from __future__ import annotations

import math

import numpy as np

from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import (
    TOO_MANY_UNITS,
    Cells,
    Measure,
    Prepared,
    Rows,
    cells,
    check_choice,
)

MOST_STEPS = 10**9  # of the network simplex; a thousand times what the widest need

# units of a, units of b, and their shares of the whole, which sum to 1
Plan = tuple[np.ndarray, np.ndarray, np.ndarray]


def assign(products: np.ndarray) -> Plan:
    """The one-to-one pairing of rows and columns of (a, b) products with the largest sum, min(a, b)
    pairs.
    """
    # takes a third of a second to import, and few need it
    from scipy.optimize import linear_sum_assignment

    left, right = linear_sum_assignment(products, maximize=True)
    return left, right, np.full(len(left), 1 / len(left))


def transport(products: np.ndarray) -> Plan:
    """The plan with uniform weights on both sides that has the largest sum of shares times (a, b)
    products.

    Raises:
        RuntimeError: the solver stopped without an optimum.
    """
    a, b = products.shape
    if a == b:  # a permutation is among the best plans (Birkhoff)
        return assign(products)
    from ot.lp import emd  # takes seconds to import, and few need it

    # whole numbers: the plan times a b, without rounding
    weights = np.full(a, float(b)), np.full(b, float(a))
    plan, log = emd(*weights, -products, numItermax=MOST_STEPS, log=True)
    if log["warning"]:
        raise RuntimeError(f"matching {a} with {b} units: {log['warning']}")
    left, right = np.nonzero(plan)
    return left, right, plan[left, right] / (a * b)


def _units(kernel: Kernel, name: str, widest: int) -> np.ndarray | None:
    """(n, units) centred activations of the units that change; None if they are more than
    ``widest``.
    """
    if kernel.features is None:
        raise ValueError(
            f"{kernel.name or 'a kernel summary'}: {name} needs the activations, which this summary"
            " does not lead to"
        )
    parts = []
    count = 0
    for block in kernel.features():
        parts.append(block[:, np.any(block != 0, axis=0)])
        count += parts[-1].shape[1]
        if count > widest:
            return None
    return np.concatenate(parts, axis=1)


def _prepare_soft(kernel: Kernel, options: dict) -> Prepared:
    units = _units(kernel, "soft_matching", options["widest"])
    if units is None:
        return Prepared(TOO_MANY_UNITS, None)
    return Prepared("", None, units * (math.sqrt(units.shape[1]) / np.linalg.norm(units)))


def _prepare_correlation(kernel: Kernel, options: dict) -> Prepared:
    units = _units(kernel, "unit_correlation", options["widest"])
    if units is None:
        return Prepared(TOO_MANY_UNITS, None)
    units = units / np.abs(units).max(axis=0)  # squares of tiny units must not vanish
    return Prepared("", None, units / np.linalg.norm(units, axis=0))


def _cross(rows: Rows, columns: Rows, plan_of, value_of) -> Cells:
    """Value of every pair under its best plan; one matrix product serves a row of pairs."""
    values = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        partners = [
            j
            for j, item in enumerate(columns)
            if not (row.flag or item.flag or (columns is rows and j < i))
        ]
        if not partners:
            continue
        joint = row.data.T @ np.concatenate([columns[j].data for j in partners], axis=1)
        ends = np.cumsum([columns[j].data.shape[1] for j in partners])
        for j, products in zip(partners, np.split(joint, ends[:-1], axis=1), strict=True):
            values[i, j] = value_of(row.data, columns[j].data, plan_of(products))
            if columns is rows:
                values[j, i] = values[i, j]
    return cells(values, rows, columns)


def _distance(x: np.ndarray, y: np.ndarray, plan: Plan) -> float:
    """Root of the mean squared distance of matched units, from the differences: exact also where it
    is small.
    """
    left, right, shares = plan
    return math.sqrt(float(shares @ ((x[:, left] - y[:, right]) ** 2).sum(axis=0)))


def _correlation(x: np.ndarray, y: np.ndarray, plan: Plan) -> float:
    left, right, shares = plan
    return float(shares @ np.einsum("ij,ij->j", x[:, left], y[:, right]))


def _cross_soft(rows: Rows, columns: Rows, options: dict) -> Cells:
    return _cross(rows, columns, transport, _distance)


def _cross_correlation(rows: Rows, columns: Rows, options: dict) -> Cells:
    return _cross(rows, columns, transport if options["plan"] == "soft" else assign, _correlation)


def _check_widest(options: dict) -> None:
    if not isinstance(options["widest"], int) or options["widest"] < 1:
        raise ValueError(
            f"option widest: got {options['widest']!r}, expected a whole number of units, at"
            " least 1"
        )


def _check_correlation(options: dict) -> None:
    _check_widest(options)
    check_choice(options, "plan", ("one_to_one", "soft"))


MEASURES = (
    Measure(
        "soft_matching",
        title="soft matching distance",
        direction="distance",
        range=(0.0, 2.0),
        identity=0.0,
        invariances=frozenset({"permutation", "scale", "offset"}),
        metric=True,
        cost="n d^2 + d^3",
        source="Khosla and Williams 2024",
        prepare=_prepare_soft,
        cross=_cross_soft,
        options={"widest": 2048},
        check=_check_widest,
    ),
    Measure(
        "unit_correlation",
        title="correlation of matched units",
        direction="similarity",
        range=(-1.0, 1.0),
        identity=1.0,
        invariances=frozenset({"permutation", "scale", "feature_scale", "offset"}),
        cost="n d^2 + d^3",
        source="Li et al. 2016",
        prepare=_prepare_correlation,
        cross=_cross_correlation,
        options={"plan": "one_to_one", "widest": 2048},
        check=_check_correlation,
    ),
)
