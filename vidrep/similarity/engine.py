"""All pairs of representations under one measure, with all that belongs beside a value.

That is reasons for missing values, intervals, permutation nulls and chance levels.

The work per representation is done once per block of representations; two blocks at a time fit the
memory budget. Measures then treat whole blocks of pairs with matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vidrep.measures import find
from vidrep.random_streams import stream
from vidrep.similarity import bilinear, resample
from vidrep.similarity.blocks import block_sizes, blocks_of
from vidrep.similarity.kernel import Activations, Kernel
from vidrep.similarity.machine import using
from vidrep.similarity.measure import Measure
from vidrep.statistics import (
    TOO_FEW_GROUPS,
    enough,
    jackknife_error,
    jackknife_margin,
    p_of_counts,
)


@dataclass
class Comparison:
    """All pairs under one measure; every array is (R, R), row = first representation.

    Attributes:
        measure, options: what was computed.
        symmetric: whether both orders of a pair have the same value.
        values: NaN where undefined.
        flags: "" or the reason or remark.
        n: rows used; clips, unless several rows are of one clip.
        ci_low, ci_high: 95 % jackknife interval, NaN where there is none.
        null_p: permutation p value, NaN where there is none.
        chance: expected value for unrelated clips: in closed form, else the mean of the null; NaN
            where neither is there.
        rank_a, rank_b: ranks that the measure worked with, NaN where it uses none.
        clips: independent clips.
    """

    measure: str
    options: dict
    symmetric: bool
    values: np.ndarray
    flags: np.ndarray
    n: np.ndarray
    ci_low: np.ndarray
    ci_high: np.ndarray
    null_p: np.ndarray
    chance: np.ndarray
    rank_a: np.ndarray
    rank_b: np.ndarray
    clips: int


def compare(x, y, measure: str = "cka_linear_debiased", **options) -> float:
    """One measure of two representations of the same clips in the same order.

    Args:
        x, y: arrays or tensors (n, features, ...), or kernel summaries.
        measure: one of ``measures()``.
        options: of the measure.

    Returns:
        The value, NaN for degenerate input; ``compare_all(..., return_flags=True)`` tells why.

    Raises:
        ValueError: different numbers of clips, numbers that are not finite, unknown measure or
            option.
    """
    first = summaries([x])
    second = summaries([y])
    result = _all_pairs(first, find(measure), options, others=second)
    return float(result.values[0, 0])


def compare_all(
    representations,
    measure: str = "cka_linear_debiased",
    *,
    memory_mb: float = 2048,
    device: str = "cpu",
    return_flags: bool = False,
    **options,
):
    """All pairs of representations of the same clips.

    Args:
        representations: list or dict of arrays (n, features, ...) or of kernel summaries.
        measure: one of ``measures()``.
        memory_mb: budget for the arrays that pairs are computed from.
        device: of kernels and their products: "cpu", "cuda" or "auto"; the same numbers to about
            1e-7 for single precision.
        return_flags: also return the (R, R) array of reasons, "" for an ordinary value.
        options: of the measure.

    Returns:
        (R, R) float64 values, row = first representation.
    """
    result = all_pairs(representations, measure, memory_mb=memory_mb, device=device, **options)
    return (result.values, result.flags) if return_flags else result.values


def all_pairs(
    representations,
    measure: str,
    *,
    intervals: bool = False,
    permutations: int = 0,
    groups=None,
    within: bool = False,
    seed: int = 0,
    memory_mb: float = 2048,
    device: str = "cpu",
    **options,
) -> Comparison:
    """As ``compare_all``, with everything that belongs beside a value.

    Args:
        intervals: compute jackknife intervals, if there are at least 20 clips, or 6 groups of
            several.
        permutations: fewest re-pairings of clips for the null, 0 for none.
        groups: (n,) the clip that each row belongs to, where rows of one clip are not independent;
            None if each row is a clip. Intervals leave out, and the null re-pairs, whole clips; for
            the null all must have as many rows, in the same order.
        within: the null exchanges the rows of a group instead, which are clips that stand for each
            other, such as videos of one person.
        seed: of the random orderings behind re-pairings and groups of clips.

    Raises:
        ValueError: as ``compare``; ``groups`` of another length than the rows, or clips that cannot
            be re-paired.
    """
    with using(memory_mb, device):
        return _all_pairs(
            summaries(representations),
            find(measure),
            options,
            intervals=intervals,
            permutations=permutations,
            groups=groups,
            within=within,
            seed=seed,
            memory_mb=memory_mb,
        )


def summaries(representations) -> list[Kernel]:
    """Kernel summaries of a list or dict; whatever answers ``load`` is one already."""
    named = (
        representations.items()
        if isinstance(representations, Mapping)
        else enumerate(representations)
    )
    kernels = []
    for name, item in named:
        is_summary = hasattr(item, "load")
        kernels.append(item if is_summary else Activations(item, name=f"representation {name}"))
    return kernels


def _all_pairs(
    items,
    spec: Measure,
    given: dict,
    *,
    others=None,
    intervals=False,
    permutations=0,
    groups=None,
    within=False,
    seed=0,
    memory_mb=2048.0,
) -> Comparison:
    """All pairs of ``items``, or of ``items`` with ``others``."""
    options = spec.settings(given)
    columns = items if others is None else others
    n = common_n([*items, *columns])
    units = resample.units_of(groups, n)
    result = _empty(spec, options, (len(items), len(columns)), n, len(units))
    with_intervals = intervals and enough(len(units), n)
    values_only = not (with_intervals or permutations)
    most = max(len(items), len(columns))
    sizes = block_sizes(spec, n, memory_mb, most, values_only)
    fill_null = None
    if n >= spec.minimum_n:
        fill_null = _null(spec, options, units, permutations, seed, sizes[0], within)
    for i, j, rows, partners in blocks_of(items, columns, spec, options, sizes, result.symmetric):
        block = np.ix_(i, j)
        kernels = ([items[k] for k in i], [columns[k] for k in j])
        _fill(result, block, spec, options, rows, partners, chance=len(units) == n)
        if fill_null and not np.isnan(result.values[block]).all():
            fill_null(result, block, rows, partners, kernels[1])
        if with_intervals:
            margin = _margins(spec, options, (rows, partners), kernels, units, seed)
            _fill_interval(result, block, margin)
        if result.symmetric and columns is items and rows is not partners:
            _mirror(result, i, j)
    if intervals and len(units) < n and not with_intervals:
        result.flags[result.flags == ""] = TOO_FEW_GROUPS
    return result


def _fill_interval(result: Comparison, block: tuple, margin: np.ndarray) -> None:
    """Intervals of one block from their half widths, where they say anything."""
    margin = np.where(resample.has_interval(result.flags[block]), margin, np.nan)
    result.ci_low[block] = result.values[block] - margin
    result.ci_high[block] = result.values[block] + margin


def common_n(items: Sequence[Kernel]) -> int:
    """Rows of all representations, which must be as many."""
    for item in items:
        if item.n != items[0].n:
            raise ValueError(f"representations of different clips: {items[0].n} and {item.n} rows")
    return items[0].n if items else 0


def _empty(spec: Measure, options: dict, shape: tuple[int, int], n: int, clips: int) -> Comparison:
    """A comparison that knows nothing yet."""
    one_sided = spec.one_sided is not None and spec.one_sided(options)
    return Comparison(
        measure=spec.name,
        options=options,
        symmetric=spec.symmetric and not one_sided,
        values=np.full(shape, np.nan),
        flags=np.full(shape, "", dtype=object),
        n=np.full(shape, n),
        ci_low=np.full(shape, np.nan),
        ci_high=np.full(shape, np.nan),
        null_p=np.full(shape, np.nan),
        chance=np.full(shape, np.nan),
        rank_a=np.full(shape, np.nan),
        rank_b=np.full(shape, np.nan),
        clips=clips,
    )


def _fill(
    result: Comparison,
    block: tuple,
    spec: Measure,
    options: dict,
    rows: list,
    columns: list,
    chance: bool,
) -> None:
    """Values, flags, ranks and, where each row is a clip, chance of one block."""
    cells = spec.cross(rows, columns, options)
    result.values[block] = cells.values
    result.flags[block] = cells.flags
    if cells.n is not None:
        result.n[block] = cells.n
    result.rank_a[block] = _ranks(rows)[:, None]
    result.rank_b[block] = _ranks(columns)
    if spec.chance and chance:
        expected = spec.chance(rows, columns, options)
        result.chance[block] = np.where(np.isnan(cells.values), np.nan, expected)


def _ranks(side: list) -> np.ndarray:
    """(R,) ranks that the measure worked with, NaN where it uses none."""
    ranks = [np.nan if item.rank is None else item.rank for item in side]
    return np.array(ranks, dtype=float)


def _null(
    spec: Measure,
    options: dict,
    units: list,
    permutations: int,
    seed: int,
    size: int,
    within: bool,
) -> Callable | None:
    """What fills in the null of a block.

    Cyclic shifts at once where the measure can and each row is a clip, else re-pairings.
    """
    if not permutations:
        return None
    n = sum(map(len, units))
    if spec.null and len(units) == n:
        orders = bilinear.orderings(n, permutations, stream(seed, "similarity", "orderings", n))

        def shifts(
            result: Comparison,
            block: tuple,
            rows: list,
            columns: list,
            kernels: list,
        ) -> None:
            draws = len(orders) * (n - 1)
            p = p_of_counts(spec.null(rows, columns, orders), draws)
            result.null_p[block] = np.where(np.isnan(result.values[block]), np.nan, p)

        return shifts
    orders = resample.re_pairings(units, permutations, seed, within=within and len(units) < n)

    def recompute(
        result: Comparison,
        block: tuple,
        rows: list,
        columns: list,
        kernels: list,
    ) -> None:
        loaded = [item.load() for item in kernels]
        values = result.values[block]
        counts, mean = resample.re_pairing_null(spec, options, rows, loaded, values, orders, size)
        if result.symmetric and rows is columns:  # one draw for both orders of a pair
            upper = np.tri(len(rows), dtype=bool).T
            counts = np.where(upper, counts, counts.T)
            mean = np.where(upper, mean, mean.T)
        p = p_of_counts(counts, len(orders))
        result.null_p[block] = np.where(np.isnan(values), np.nan, p)
        unknown = np.isnan(result.chance[block])
        result.chance[block] = np.where(unknown, mean, result.chance[block])

    return recompute


def _margins(
    spec: Measure,
    options: dict,
    blocks: tuple,
    items: tuple,
    units: list,
    seed: int,
) -> np.ndarray:
    """Half widths of the intervals of one block.

    They come from standard errors in closed form where there are any.
    """
    if callable(spec.jackknife) and all(len(unit) == 1 for unit in units):
        return jackknife_margin(spec.jackknife(*blocks, options), len(units))
    groups = resample.left_out(units, seed)
    values = resample.replicates(spec, options, items, groups, blocks[0] is blocks[1])
    return jackknife_margin(jackknife_error(values), len(groups))


def _mirror(result: Comparison, i: range, j: range) -> None:
    """Copy a block below the diagonal to its place above."""
    for name in ("values", "flags", "n", "ci_low", "ci_high", "null_p", "chance"):
        array = getattr(result, name)
        array[np.ix_(j, i)] = array[np.ix_(i, j)].T
    result.rank_a[np.ix_(j, i)] = result.rank_b[np.ix_(i, j)].T
    result.rank_b[np.ix_(j, i)] = result.rank_a[np.ix_(i, j)].T
