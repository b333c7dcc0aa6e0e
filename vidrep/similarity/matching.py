"""Matching of single units: for measures that see which axes a code uses.

A rotation of the features changes them. Matching looks for agreement, so values between unrelated
representations are not zero: with few clips and many units every unit finds some partner. Read them
beside the untrained floor. Units that never change are left out on both sides.

All solutions are exact: assignments by SciPy, unequal widths by the network simplex of POT (Flamary
et al. 2021). Both cost about the third power of the width, a second at 2,048 units, so wider
representations than ``widest`` have no value here ("too_many_units").
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import Cells, Rows, cells

MOST_STEPS = 10**9  # of the network simplex; a thousand times what the widest need

# units of a, units of b, and their shares of the whole, which sum to 1
Plan = tuple[np.ndarray, np.ndarray, np.ndarray]


def assign(products: np.ndarray) -> Plan:
    """The one-to-one pairing of rows and columns of (a, b) products with the largest sum.

    It has min(a, b) pairs.
    """
    # takes a third of a second to import, and few need it
    from scipy.optimize import linear_sum_assignment

    left, right = linear_sum_assignment(products, maximize=True)
    return left, right, np.full(len(left), 1 / len(left))


def transport(products: np.ndarray) -> Plan:
    """The plan between equally heavy units with the largest sum of shares times (a, b) products.

    Raises:
        RuntimeError: the solver stopped without an optimum.
    """
    a, b = products.shape
    if a == b:  # a permutation is among the best plans (Birkhoff)
        return assign(products)
    from ot.lp import emd  # takes seconds to import, and few need it

    # whole numbers: the plan times a b, without rounding
    row_weights = np.full(a, float(b))
    column_weights = np.full(b, float(a))
    plan, log = emd(row_weights, column_weights, -products, numItermax=MOST_STEPS, log=True)
    if log["warning"]:
        raise RuntimeError(f"matching {a} with {b} units: {log['warning']}")
    left, right = np.nonzero(plan)
    return left, right, plan[left, right] / (a * b)


def units_of(kernel: Kernel, measure: str, widest: int) -> np.ndarray | None:
    """(n, units) centred activations of the units that change; None if more than ``widest`` do.

    Raises:
        ValueError: the summary does not lead to activations, which ``measure`` needs.
    """
    if kernel.features is None:
        raise ValueError(
            f"{kernel.name or 'a kernel summary'}: {measure} needs the activations, which this"
            " summary does not lead to"
        )
    parts = []
    count = 0
    for block in kernel.features():
        changing = np.any(block != 0, axis=0)
        parts.append(block[:, changing])
        count += parts[-1].shape[1]
        if count > widest:
            return None
    return np.concatenate(parts, axis=1)


def cross_matched(
    rows: Rows,
    columns: Rows,
    plan_of: Callable[[np.ndarray], Plan],
    value_of: Callable[[np.ndarray, np.ndarray, Plan], float],
) -> Cells:
    """Value of every pair under its best plan; one matrix product serves a row of pairs.

    Args:
        plan_of: from the (a, b) products of units to the plan.
        value_of: from the units of both sides, (n, a) and (n, b), and the plan to the value.
    """
    values = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        partners = _partners(rows, columns, i)
        if not partners:
            continue
        others = [columns[j].data for j in partners]
        joint = row.data.T @ np.concatenate(others, axis=1)
        ends = np.cumsum([other.shape[1] for other in others])
        products_of_each = np.split(joint, ends[:-1], axis=1)
        for j, other, products in zip(partners, others, products_of_each, strict=True):
            values[i, j] = value_of(row.data, other, plan_of(products))
            if columns is rows:
                values[j, i] = values[i, j]
    return cells(values, rows, columns)


def _partners(rows: Rows, columns: Rows, i: int) -> list[int]:
    """Columns that row i is matched with: each unordered pair once where both lists are one."""
    if rows[i].flag:
        return []
    first = i if columns is rows else 0
    return [j for j in range(first, len(columns)) if not columns[j].flag]


def check_widest(options: dict) -> None:
    """Raise ValueError unless option ``widest`` is a number of units."""
    widest = options["widest"]
    if not isinstance(widest, int) or widest < 1:
        raise ValueError(
            f"option widest: got {widest!r}, expected a whole number of units, at least 1"
        )
