"""Is one representation more like a second than like a third?

What is compared is the difference of two values on the same clips.

The two values share clips, and often a representation, so that they rise and fall together; the
difference is known better than either value. Its standard error comes from leaving out the same
clips on both sides: a paired delete-a-group jackknife.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidrep.measures import find
from vidrep.result_tables import number, write_rows
from vidrep.similarity import resample
from vidrep.similarity.engine import common_n, summaries
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import Measure
from vidrep.similarity.table import aligned
from vidrep.statistics import (
    adjusted_p,
    enough,
    jackknife_error,
    jackknife_margin,
    jackknife_p,
)

DIFFERENCE_COLUMNS = (
    "rep_a",
    "rep_b",
    "rep_c",
    "value_ab",
    "value_ac",
    "difference",
    "ci_low",
    "ci_high",
    "p",
    "q",
    "n",
)

Pair = tuple[int, int]


@dataclass(frozen=True)
class Difference:
    """value(a, b) - value(c, d) under one measure.

    Attributes:
        first, second: the two values, NaN where undefined.
        ci_low, ci_high: 95 % interval of first - second; NaN without a value or with fewer than 20
            independent clips.
        p: two-sided p value for equal values, NaN as the interval, and where both values always
            move together.
        n: rows used.
    """

    first: float
    second: float
    ci_low: float
    ci_high: float
    p: float
    n: int

    @property
    def value(self) -> float:
        """first - second.

        Of a similarity it is positive, of a distance negative where the first two are more alike.
        """
        return self.first - self.second


def difference(
    first: tuple,
    second: tuple,
    measure: str = "cka_linear_debiased",
    *,
    groups=None,
    seed: int = 0,
    **options,
):
    """The difference of two values on the same clips, with its uncertainty.

    Args:
        first, second: pairs of representations, each an array (n, features, ...) or a kernel
            summary: ``(a, b)`` and ``(a, c)`` ask whether a is more like b than like c; any two
            pairs can be compared.
        measure, options: as of ``compare``.
        groups: (n,) the clip that each row belongs to; None if each row is a clip.
        seed: of the random groups of clips that are left out.

    Returns:
        A ``Difference``.

    Raises:
        ValueError: as ``compare``.
    """
    given = [*first, *second]
    unique = {id(item): item for item in given}
    items = dict(zip(unique, summaries(list(unique.values())), strict=True))
    place = {key: k for k, key in enumerate(items)}
    a, b, c, d = (place[id(item)] for item in given)
    cells = [((a, b), (c, d))]
    (found,) = differences(
        list(items.values()), cells, measure, groups=groups, seed=seed, **options
    )
    return found


def differences(
    representations,
    cells: Sequence[tuple[Pair, Pair]],
    measure: str = "cka_linear_debiased",
    *,
    intervals: bool = True,
    groups=None,
    seed: int = 0,
    **options,
) -> list[Difference]:
    """As ``difference``, of many cells of one matrix of all pairs.

    Args:
        representations: list or dict of arrays or kernel summaries.
        cells: pairs of cells ((a, b), (c, d)) by position in ``representations``.
        intervals: compute intervals and p values.
    """
    spec = find(measure)
    items = [item.load() for item in summaries(representations)]
    settings = spec.settings(options)
    n = common_n(items)
    units = resample.units_of(groups, n)
    chosen = sorted({cell for pair in cells for cell in pair})
    values = dict(zip(chosen, _values(spec, settings, items, chosen).tolist(), strict=True))
    left_out = []
    if intervals and enough(len(units), n):
        quick = {**settings, "quick": True}
        for group in resample.left_out(units, seed):
            without_group = _values(spec, quick, items, chosen, group)
            left_out.append(dict(zip(chosen, without_group, strict=True)))
    found = []
    for first, second in cells:
        change = values[first] - values[second]
        paired = np.array([row[first] - row[second] for row in left_out])
        low, high, p = _uncertainty(change, paired)
        found.append(Difference(values[first], values[second], low, high, p, n))
    return found


def _uncertainty(change: float, left_out: np.ndarray) -> tuple[float, float, float]:
    """Ends of the interval of a difference, and its p value.

    Args:
        change: the difference.
        left_out: (J,) the same without each group of clips; none if nothing is asked.
    """
    if not len(left_out):
        return float("nan"), float("nan"), float("nan")
    error = jackknife_error(left_out)
    margin = jackknife_margin(error, len(left_out)) + 0 * change  # none without a value
    p = jackknife_p(change, error, len(left_out))
    return float(change - margin), float(change + margin), float(p)


def _values(
    spec: Measure,
    options: dict,
    items: Sequence[Kernel],
    cells: Sequence[Pair],
    group: np.ndarray | None = None,
) -> np.ndarray:
    """Values of some cells, without a group of rows if one is given.

    NaN where ranks alone force part of a value.
    """
    ready = {}
    for k in sorted({k for cell in cells for k in cell}):
        kernel = items[k] if group is None else resample.without(items[k], group)
        ready[k] = resample.prepared(kernel, spec, options)
    values = []
    for a, b in cells:
        found = spec.cross([ready[a]], [ready[b]], options)
        known = resample.has_interval(found.flags)
        values.append(np.where(known, found.values, np.nan)[0, 0])
    return np.array(values)


def rows(found: Sequence[Difference], names: Sequence[tuple[str, str, str]]) -> list[list[str]]:
    """Rows of ``DIFFERENCE_COLUMNS`` for the differences value(a, b) - value(a, c).

    All are one family for q.
    """
    q = adjusted_p(np.array([item.p for item in found]))
    lines = []
    for d, triple, adjusted in zip(found, names, q, strict=True):
        numbers = (d.first, d.second, d.value, d.ci_low, d.ci_high, d.p, adjusted, d.n)
        lines.append([*triple, *map(number, numbers)])
    return lines


def write_differences(
    path: str | os.PathLike,
    lines: Sequence[Sequence[str]],
    columns: Sequence[str] = DIFFERENCE_COLUMNS,
) -> None:
    """Write a table of differences; empty cells as in ``Difference``."""
    write_rows(path, columns, lines)


def table(lines: Sequence[Sequence[str]]) -> str:
    """The rows for reading."""
    return aligned([list(DIFFERENCE_COLUMNS), *lines])
