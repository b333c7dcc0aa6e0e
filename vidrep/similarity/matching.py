"""Matching of single units: the measures that see which axes a code uses, as a rotation of the features changes them.

``soft_matching``: Khosla and Williams 2024 (arXiv:2311.09466), the Wasserstein distance between two clouds of units, each
unit the vector of its centred activations over clips, all units of a representation equally heavy. Both clouds are brought to
mean squared norm 1. With equal widths the best transport is a permutation of units; unequal widths share units out (a
transport problem).

``unit_correlation``: Li et al. 2016 (arXiv:1511.07543), the mean correlation of units paired one to one so that it is
largest; of the wider side, units without a partner are left out. Option ``plan`` "soft" shares them out as above instead.

Matching looks for agreement, so values between unrelated representations are not zero: with few clips and many units every unit
finds some partner. Read them beside the untrained floor. Units that never change are left out on both sides.

All solutions are exact. An assignment costs about the third power of its size, so representations of more than ``widest``
units have no value here ("too_many_units"), nor have pairs whose transport problem is neither an assignment of at most so
many copies of units nor a linear programme of at most ``PROGRAMME`` cells. Widths of which one is a small multiple of the
other, as layers have, are assignments.
"""

from __future__ import annotations

import math

import numpy as np

from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import TOO_MANY_UNITS, Cells, Measure, Prepared, Rows, cells, check_choice

PROGRAMME = 1 << 16  # cells of the largest linear programme; one of this size takes some seconds
COPIES = 4  # most copies of a unit of the wider side: copies tie, which makes an assignment slower than the programme
CANDIDATES = 8  # cells that each unit brings into the programme at a time
TOLERANCE = 1e-10  # of reduced costs, in units of the largest product

Plan = tuple[np.ndarray, np.ndarray, np.ndarray]  # units of a, units of b, and their shares of the whole, which sum to 1


def assign(products: np.ndarray) -> Plan:
    """The one-to-one pairing of rows and columns of (a, b) products with the largest sum, min(a, b) pairs."""
    from scipy.optimize import linear_sum_assignment  # takes a third of a second to import, and few need it

    left, right = linear_sum_assignment(products, maximize=True)
    return left, right, np.full(len(left), 1 / len(left))


def transport(products: np.ndarray, widest: int) -> Plan | None:
    """The plan with uniform weights on both sides that has the largest sum of shares times products.

    Args:
        products: (a, b).
        widest: largest assignment problem to be solved.

    Returns:
        The plan, or None if the problem is too large. Copies of the units, equally many on both sides, turn it into an
        assignment; widths without a small common multiple are left to a linear programme.
    """

    a, b = products.shape
    copies = math.lcm(a, b)
    if copies <= min(widest, COPIES * max(a, b)):
        left, right, shares = assign(np.repeat(np.repeat(products, copies // a, axis=0), copies // b, axis=1))
        return left // (copies // a), right // (copies // b), shares
    return programme(products) if products.size <= PROGRAMME else None


def programme(products: np.ndarray) -> Plan:
    """``transport`` by linear programming over some cells; those that could improve the plan are added until none is left."""
    from scipy.optimize import linprog  # as in ``assign``
    from scipy.sparse import csr_array

    a, b = products.shape
    used = _corner(a, b) | _best(products, 1) | _best(products, 0)
    limits = np.r_[np.full(a, b), np.full(b, a)].astype(float)  # whole numbers: the plan times a b
    while True:
        left, right = np.nonzero(used)
        place = np.arange(len(left))
        sums = csr_array((np.ones(2 * len(left)), (np.r_[left, a + right], np.r_[place, place])))
        solved = linprog(-products[left, right], A_eq=sums, b_eq=limits, method="highs")
        prices = solved.eqlin.marginals
        gains = products + prices[:a, None] + prices[a:]  # what a cell would add
        useful = gains > TOLERANCE * np.abs(products).max()
        if not useful.any():
            kept = solved.x > 0
            return left[kept], right[kept], solved.x[kept] / (a * b)
        used |= useful & _best(gains, 1)


def _best(values: np.ndarray, axis: int) -> np.ndarray:
    """(a, b) mask of the ``CANDIDATES`` largest values along an axis."""
    count = min(CANDIDATES, values.shape[axis])
    mask = np.zeros(values.shape, dtype=bool)
    chosen = np.argpartition(-values, count - 1, axis=axis).take(np.arange(count), axis=axis)
    np.put_along_axis(mask, chosen, True, axis=axis)
    return mask


def _corner(a: int, b: int) -> np.ndarray:
    """(a, b) mask of the north-west corner plan, which fulfils the weights: the programme then has a solution."""
    ends = np.union1d(np.arange(1, a + 1) * b, np.arange(1, b + 1) * a) - 1
    mask = np.zeros((a, b), dtype=bool)
    mask[ends // b, ends // a] = True
    return mask


def _units(kernel: Kernel, name: str, widest: int) -> np.ndarray | None:
    """(n, units) centred activations of the units that change; None if they are more than ``widest``."""
    if kernel.features is None:
        raise ValueError(
            f"{kernel.name or 'a kernel summary'}: {name} needs the activations, which this summary does not lead to"
        )
    parts, count = [], 0
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
    remarks = np.full(values.shape, "", dtype=object)
    for i, row in enumerate(rows):
        partners = [j for j, item in enumerate(columns) if not (row.flag or item.flag or (columns is rows and j < i))]
        if not partners:
            continue
        joint = row.data.T @ np.concatenate([columns[j].data for j in partners], axis=1)
        ends = np.cumsum([columns[j].data.shape[1] for j in partners])
        for j, products in zip(partners, np.split(joint, ends[:-1], axis=1), strict=True):
            plan = plan_of(products)
            values[i, j] = np.nan if plan is None else value_of(row.data, columns[j].data, plan)
            remarks[i, j] = TOO_MANY_UNITS if plan is None else ""
            if columns is rows:
                values[j, i], remarks[j, i] = values[i, j], remarks[i, j]
    return cells(values, rows, columns, remarks)


def _distance(x: np.ndarray, y: np.ndarray, plan: Plan) -> float:
    """Root of the mean squared distance of matched units, from the differences: exact also where it is small."""
    left, right, shares = plan
    return math.sqrt(float(shares @ ((x[:, left] - y[:, right]) ** 2).sum(axis=0)))


def _correlation(x: np.ndarray, y: np.ndarray, plan: Plan) -> float:
    left, right, shares = plan
    return float(shares @ np.einsum("ij,ij->j", x[:, left], y[:, right]))


def _cross_soft(rows: Rows, columns: Rows, options: dict) -> Cells:
    return _cross(rows, columns, lambda products: transport(products, options["widest"]), _distance)


def _cross_correlation(rows: Rows, columns: Rows, options: dict) -> Cells:
    soft = options["plan"] == "soft"
    plan_of = (lambda products: transport(products, options["widest"])) if soft else assign
    return _cross(rows, columns, plan_of, _correlation)


def _check_widest(options: dict) -> None:
    if not isinstance(options["widest"], int) or options["widest"] < 1:
        raise ValueError(f"option widest: got {options['widest']!r}, expected a whole number of units, at least 1")


def _check_correlation(options: dict) -> None:
    _check_widest(options)
    check_choice(options, "plan", ("one_to_one", "soft"))


MEASURES = (
    Measure(
        "soft_matching",
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
