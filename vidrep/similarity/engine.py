"""All pairs of representations under one measure: values, reasons, intervals, permutation nulls and chance levels.

The work per representation is done once per block of representations; two blocks at a time fit the memory budget. Measures
then treat whole blocks of pairs with matrix products.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from vidrep.similarity import bilinear
from vidrep.similarity.kernel import Activations, Kernel
from vidrep.similarity.machine import spread, threads, using
from vidrep.similarity.measure import TOO_FEW_ROWS, Measure, Prepared
from vidrep.similarity.registry import find
from vidrep.streams import stream

FEWEST_FOR_INTERVALS = 20
GROUPS = 20  # groups of clips of the grouped jackknife
LEVEL = 0.95
NUMBERS = ("values", "ci_low", "ci_high", "null_p", "chance", "rank_a", "rank_b")


@dataclass
class Comparison:
    """All pairs under one measure; every array is (R, R), row = first representation.

    Attributes:
        measure, options: what was computed.
        symmetric: whether both orders of a pair have the same value.
        values: NaN where undefined.
        flags: "" or the reason or remark.
        n: clips used.
        ci_low, ci_high: 95 % jackknife interval, NaN where there is none.
        null_p: permutation p value, NaN where there is none.
        chance: expected value for unrelated clips, NaN where not known.
        rank_a, rank_b: ranks that the measure worked with, NaN where it uses none.
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


def compare(x, y, measure: str = "cka_linear_debiased", **options) -> float:
    """One measure of two representations of the same clips in the same order.

    Args:
        x, y: arrays or tensors (n, features, ...), or kernel summaries.
        measure: one of ``measures()``.
        options: of the measure.

    Returns:
        The value, NaN for degenerate input; ``compare_all(..., return_flags=True)`` tells why.

    Raises:
        ValueError: different numbers of clips, numbers that are not finite, unknown measure or option.
    """
    return float(_all_pairs(_summaries([x]), find(measure), options, others=_summaries([y])).values[0, 0])


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
        device: of kernels and their products: "cpu", "cuda" or "auto"; the same numbers to about 1e-7 for single precision.
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
    seed: int = 0,
    memory_mb: float = 2048,
    device: str = "cpu",
    **options,
) -> Comparison:
    """As ``compare_all``, with everything that belongs beside a value.

    Args:
        intervals: compute jackknife intervals where the measure has them and there are at least 20 clips.
        permutations: fewest re-pairings of clips for the null, 0 for none.
        seed: of the random orderings behind re-pairings and groups of clips.
    """
    with using(memory_mb, device):
        return _all_pairs(
            _summaries(representations),
            find(measure),
            options,
            intervals=intervals,
            permutations=permutations,
            seed=seed,
            memory_mb=memory_mb,
        )


def _summaries(representations) -> list[Kernel]:
    """Kernel summaries of a list or dict; whatever answers ``load`` is one already."""
    named = representations.items() if isinstance(representations, Mapping) else enumerate(representations)
    return [item if hasattr(item, "load") else Activations(item, name=f"representation {name}") for name, item in named]


def _all_pairs(
    items, spec: Measure, given: dict, *, others=None, intervals=False, permutations=0, seed=0, memory_mb=2048.0
) -> Comparison:
    """All pairs of ``items``, or of ``items`` with ``others``."""
    options = spec.settings(given)
    columns = items if others is None else others
    n = _common_n([*items, *columns])
    result = _empty(spec, options, len(items), len(columns), n)
    orders, groups = None, []
    if permutations and spec.null and n >= spec.minimum_n:
        orders = bilinear.orderings(n, permutations, stream(seed, "similarity", "orderings", n))
    if intervals and spec.jackknife and n >= FEWEST_FOR_INTERVALS:
        groups = np.array_split(stream(seed, "similarity", "groups", n).permutation(n), GROUPS)
    sizes = _block_sizes(spec, n, memory_mb, max(len(items), len(columns)), values_only=not len(groups) and orders is None)
    for i, j, rows, partners in _blocks(items, columns, spec, options, sizes, result.symmetric):
        block = np.ix_(i, j)
        _fill(result, block, spec, options, rows, partners, orders)
        if len(groups):
            margin = _margins(spec, options, (rows, partners), ([items[k] for k in i], [columns[k] for k in j]), groups)
            result.ci_low[block], result.ci_high[block] = result.values[block] - margin, result.values[block] + margin
        if result.symmetric and columns is items and rows is not partners:
            _mirror(result, i, j)
    return result


def _common_n(items: Sequence[Kernel]) -> int:
    for item in items:
        if item.n != items[0].n:
            raise ValueError(f"representations of different clips: {items[0].n} and {item.n} rows")
    return items[0].n if items else 0


def _empty(spec: Measure, options: dict, a: int, b: int, n: int) -> Comparison:
    numbers = {name: np.full((a, b), np.nan) for name in NUMBERS}
    symmetric = spec.symmetric and not (spec.one_sided and spec.one_sided(options))
    return Comparison(spec.name, options, symmetric, flags=np.full((a, b), "", dtype=object), n=np.full((a, b), n), **numbers)


def _prepare(item: Kernel, spec: Measure, options: dict) -> Prepared:
    if item.n < spec.minimum_n:
        return Prepared(TOO_FEW_ROWS, None)
    kernel = item if spec.tiled and isinstance(item, Activations) else item.load()
    return spec.prepare(kernel, options) if spec.tiled or not kernel.flag else Prepared(kernel.flag, None)


def _block_sizes(spec: Measure, n: int, memory_mb: float, most: int, values_only: bool) -> tuple[int, int]:
    """Representations on both sides of a block. Those of the second side are prepared again for every block, so it is short.

    Intervals and nulls make arrays of both sides, so that they share the memory evenly.
    """
    array, memory = 8 * max(n, 1) ** 2, memory_mb * 2**20
    if not values_only:
        size = max(1, int(memory / (2 * spec.arrays_per_rep * array)))
        return size, size
    if spec.tiled:
        return max(most, 1), max(most, 1)
    places = int((memory - threads() * spec.arrays_per_rep * array) / (spec.arrays_kept * array))
    return max(1, places - places // 5), max(1, places // 5)


def _blocks(
    items: Sequence[Kernel], columns: Sequence[Kernel], spec: Measure, options: dict, sizes: tuple[int, int], symmetric: bool
) -> Iterator[tuple]:
    """Yield (row positions, column positions, rows, columns) of prepared representations, at most ``sizes`` of them.

    With one list the rows meet themselves in one block; with ``symmetric`` those before them only, else all others.
    """
    size, width = sizes
    for start in range(0, len(items), size):
        i = range(start, min(start + size, len(items)))
        rows = spread(lambda k: _prepare(items[k], spec, options), i)
        others = [range(0, len(columns))]
        if columns is items:
            yield i, i, rows, rows
            others = [range(0, start)] if symmetric else [range(0, start), range(i.stop, len(columns))]
        for span in others:
            for first in range(span.start, span.stop, width):
                j = range(first, min(first + width, span.stop))
                yield i, j, rows, spread(lambda k: _prepare(columns[k], spec, options), j)


def _fill(
    result: Comparison, block: tuple, spec: Measure, options: dict, rows: list, columns: list, orders: np.ndarray | None
) -> None:
    """Values, flags, ranks, chance and null of one block."""
    cells = spec.cross(rows, columns, options)
    result.values[block], result.flags[block] = cells.values, cells.flags
    if cells.n is not None:
        result.n[block] = cells.n
    for target, side, axis in ((result.rank_a, rows, 1), (result.rank_b, columns, 0)):
        ranks = [np.nan if item.rank is None else item.rank for item in side]
        target[block] = np.expand_dims(np.array(ranks, dtype=float), axis)
    undefined = np.isnan(cells.values)
    if spec.chance:
        result.chance[block] = np.where(undefined, np.nan, spec.chance(rows, columns, options))
    if orders is not None and not undefined.all():
        draws = len(orders) * (orders.shape[1] - 1)
        result.null_p[block] = np.where(undefined, np.nan, (1 + spec.null(rows, columns, orders)) / (1 + draws))


def _margins(spec: Measure, options: dict, prepared: tuple, items: tuple, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Half widths of the intervals of one block: Student's t times the jackknife standard error."""
    if callable(spec.jackknife):
        n = sum(len(group) for group in groups)
        return stdtrit(n - 1, (1 + LEVEL) / 2) * spec.jackknife(*prepared, options)
    return stdtrit(len(groups) - 1, (1 + LEVEL) / 2) * grouped_errors(spec, options, items, groups, prepared[0] is prepared[1])


def grouped_errors(spec: Measure, options: dict, items: tuple, groups: Sequence[np.ndarray], same: bool) -> np.ndarray:
    """Delete-one-group jackknife standard errors: everything is recomputed without each group of clips in turn."""
    options = {**options, "quick": True}
    kernels = [item.load() for item in items[0]], [item.load() for item in items[1]]
    n, results = kernels[0][0].n, []
    for group in groups:
        left = np.setdiff1d(np.arange(n), group)
        rows = [_prepare(kernel.subset(left), spec, options) for kernel in kernels[0]]
        columns = rows if same else [_prepare(kernel.subset(left), spec, options) for kernel in kernels[1]]
        results.append(spec.cross(rows, columns, options).values)
    deviations = np.array(results) - np.mean(results, axis=0)
    return np.sqrt((deviations**2).sum(axis=0) * (len(groups) - 1) / len(groups))


def _mirror(result: Comparison, i: range, j: range) -> None:
    """Copy a block below the diagonal to its place above."""
    for name in ("values", "flags", "n", "ci_low", "ci_high", "null_p", "chance"):
        array = getattr(result, name)
        array[np.ix_(j, i)] = array[np.ix_(i, j)].T
    result.rank_a[np.ix_(j, i)] = result.rank_b[np.ix_(i, j)].T
    result.rank_b[np.ix_(j, i)] = result.rank_a[np.ix_(i, j)].T
