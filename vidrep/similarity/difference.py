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
    FEWEST_FOR_INTERVALS,
    adjusted_p,
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
    return differences(
        list(items.values()), [((a, b), (c, d))], measure, groups=groups, seed=seed, **options
    )[0]


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
    out = resample.left_out(units, seed) if intervals and len(units) >= FEWEST_FOR_INTERVALS else []
    left = [_values(spec, {**settings, "quick": True}, items, chosen, group) for group in out]
    column = {cell: k for k, cell in enumerate(chosen)}
    found = []
    for first, second in cells:
        low = np.nan
        high = np.nan
        p = np.nan
        if left:
            paired = np.array([row[column[first]] - row[column[second]] for row in left])
            change = values[first] - values[second]
            error = jackknife_error(paired)
            margin = jackknife_margin(error, len(left)) + 0 * change  # none without a value
            low = change - margin
            high = change + margin
            p = float(jackknife_p(change, error, len(left)))
        found.append(Difference(values[first], values[second], float(low), float(high), p, n))
    return found


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
    used = sorted({k for cell in cells for k in cell})
    ready = {
        k: resample.prepared(
            items[k] if group is None else resample.without(items[k], group), spec, options
        )
        for k in used
    }
    found = [spec.cross([ready[a]], [ready[b]], options) for a, b in cells]
    return np.array(
        [np.where(resample.has_interval(cell.flags), cell.values, np.nan)[0, 0] for cell in found]
    )


def rows(found: Sequence[Difference], names: Sequence[tuple[str, str, str]]) -> list[list[str]]:
    """Rows of ``DIFFERENCE_COLUMNS`` for the differences value(a, b) - value(a, c).

    All are one family for q.
    """
    q = adjusted_p(np.array([item.p for item in found]))
    return [
        [
            *triple,
            *map(number, (d.first, d.second, d.value, d.ci_low, d.ci_high, d.p, adjusted, d.n)),
        ]
        for d, triple, adjusted in zip(found, names, q, strict=True)
    ]


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
