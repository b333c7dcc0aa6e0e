"""Standard errors and permutation nulls of any measure, by leaving out and re-pairing clips.

The unit of both is the independent stimulus. Rows that come from one clip (its frames, crops,
overlapping pieces) are left out together, and stay together in order when clips are re-paired;
treated as independent they would make every error too small.
Clips are never drawn twice: two copies of a clip are alike for no reason, which biases measures of
all pairs of clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from vidrep.random_streams import stream
from vidrep.similarity.centring import EPS
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import SATURATED, TOO_FEW_ROWS, Measure, Prepared, Rows

GROUPS = 20  # groups of clips that are left out in turn, where there are too many to leave out each
MOST_SINGLE = 40  # clips that are left out one by one
BATCH = 32  # re-pairings that are computed at once


def units_of(groups, n: int) -> list[np.ndarray]:
    """The rows of each independent clip, in their order.

    Args:
        groups: (n,) names or numbers of the clips that rows belong to; None where each row is a
            clip.
        n: rows.

    Raises:
        ValueError: not one entry for each row.
    """
    if groups is None:
        return list(np.arange(n)[:, None])
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(
            f"groups: got shape {groups.shape}, expected one entry for each of {n} rows"
        )
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    return [np.flatnonzero(member == k) for k in np.argsort(first)]


def left_out(units: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    """Rows to leave out in turn.

    Those of each clip up to ``MOST_SINGLE`` clips, otherwise those of ``GROUPS`` random groups.
    """
    if len(units) <= MOST_SINGLE:
        return list(units)
    order = stream(seed, "similarity", "groups", len(units)).permutation(len(units))
    groups = np.array_split(order, GROUPS)
    return [np.concatenate([units[k] for k in group]) for group in groups]


def re_pairings(
    units: Sequence[np.ndarray], permutations: int, seed: int, *, within: bool = False
) -> np.ndarray:
    """(permutations, n) rows that take the place of rows 0..n-1 when clips are exchanged at random.

    Args:
        units: rows of each independent clip.
        permutations: how many.
        seed: of the draws.
        within: exchange the rows of each unit instead, which then are as good as each other, such
            as videos of one person.

    Raises:
        ValueError: clips of different numbers of rows, which cannot take each other's place.
    """
    if within:
        return _within(units, permutations, seed)
    sizes = sorted({len(unit) for unit in units})
    if len(sizes) > 1:
        raise ValueError(
            f"groups: clips have {sizes[0]} to {sizes[-1]} rows; only clips of equally many rows"
            " can be re-paired for p values"
        )
    rows = np.array(units)
    rng = stream(seed, "similarity", "re-pairings", len(units))
    orders = np.empty((permutations, rows.size), dtype=np.intp)
    for order in orders:
        order[rows] = rows[rng.permutation(len(rows))]
    return orders


def _within(units: Sequence[np.ndarray], permutations: int, seed: int) -> np.ndarray:
    """Orders of rows in which each stays within its unit."""
    rng = stream(seed, "similarity", "re-pairings within", len(units))
    orders = np.empty((permutations, sum(map(len, units))), dtype=np.intp)
    for order in orders:
        for rows in units:
            order[rows] = rng.permutation(rows)
    return orders


class _Later(Mapping):
    """Parts of a kernel summary that are made when they are asked for."""

    def __init__(self, **makers: Callable[[], np.ndarray]) -> None:
        self.makers = makers

    def __getitem__(self, part: str) -> np.ndarray:
        return self.makers[part]()

    def __contains__(self, part: object) -> bool:
        return part in self.makers

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)


def without(kernel: Kernel, rows: np.ndarray) -> Kernel:
    """The summary of all clips but some.

    Its factor comes from the whole one's rows: the kernel itself, stored in single precision, would
    hide small singular values.
    """
    kept = np.setdiff1d(np.arange(kernel.n), rows)
    part = kernel.subset(kept)
    unit = part.scale / kernel.scale

    @cache
    def factors() -> tuple[np.ndarray, np.ndarray]:
        scores = kernel.factor[kept].astype(np.float64)
        centred = (scores - scores.mean(axis=0)) / unit
        left, values, _ = np.linalg.svd(centred, full_matrices=False)
        keep = values > max(scores.shape) * EPS * values[0]
        return np.ascontiguousarray(left[:, keep] * values[keep]), values[keep]

    def features() -> Iterator[np.ndarray]:
        for block in kernel.features():
            some = block[kept]
            yield (some - some.mean(axis=0)) / unit

    later = _Later(
        matrix=lambda: part.matrix,
        factor=lambda: factors()[0],
        singular_values=lambda: factors()[1],
    )
    return replace(part, given=later, features=features if kernel.features else None)


def re_paired(kernel: Kernel, order: np.ndarray) -> Kernel:
    """The summary of the same clips in another order."""

    def features() -> Iterator[np.ndarray]:
        return (block[order] for block in kernel.features())

    moved = replace(
        kernel,
        a=kernel.a[order],
        b=kernel.b[order],
        columns=None,
        given=_Later(
            matrix=lambda: kernel.matrix[np.ix_(order, order)],
            factor=lambda: kernel.factor[order],
            singular_values=lambda: kernel.singular_values,
        ),
        features=features if kernel.features else None,
    )
    moved.rank = kernel.rank
    return moved


def prepared(kernel: Kernel, spec: Measure, options: dict) -> Prepared:
    """What the measure keeps of a kernel summary, or why there is nothing."""
    if kernel.n < spec.minimum_n:
        return Prepared(TOO_FEW_ROWS, None)
    return Prepared(kernel.flag, None) if kernel.flag else spec.prepare(kernel, options)


def replicates(
    spec: Measure,
    options: dict,
    items: tuple,
    groups: Sequence[np.ndarray],
    same: bool,
) -> np.ndarray:
    """(J, A, B) values of all pairs without each of J groups of rows.

    Args:
        items: kernel summaries of the A rows and of the B columns.
        same: whether both are the same list.
    """
    options = {**options, "quick": True}
    rows = [item.load() for item in items[0]]
    columns = rows if same else [item.load() for item in items[1]]
    results = []
    for group in groups:
        left = [prepared(without(kernel, group), spec, options) for kernel in rows]
        right = left
        if not same:
            right = [prepared(without(kernel, group), spec, options) for kernel in columns]
        results.append(spec.cross(left, right, options).values)
    return np.array(results)


def has_interval(flags: np.ndarray) -> np.ndarray:
    """Whether an interval says anything.

    Not where ranks alone force part of the value, whatever the clips.
    """
    return flags != SATURATED


def re_pairing_null(
    spec: Measure,
    options: dict,
    rows: Rows,
    kernels: Sequence[Kernel],
    observed: np.ndarray,
    orders: np.ndarray,
    size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """How often re-paired values are at least as extreme as observed ones, and their mean.

    Both are (A, B).

    Args:
        rows: the first representations, prepared.
        kernels: summaries of the second ones, whose clips are exchanged.
        observed: (A, B) values.
        orders: (draws, n) of ``re_pairings``.
        size: prepared representations that fit into memory at once.
    """
    counts = np.zeros(observed.shape)
    total = np.zeros(observed.shape)
    # rounding must not break ties in favour of the data
    tolerance = 1e-5 * np.maximum(np.abs(observed), 1e-3)
    sign = -1 if spec.is_distance(options) else 1
    step = max(1, min(BATCH, size // max(len(kernels), 1)))
    for start in range(0, len(orders), step):
        moved = []
        for order in orders[start : start + step]:
            moved += [prepared(re_paired(kernel, order), spec, options) for kernel in kernels]
        values = spec.cross(rows, moved, options).values
        values = values.reshape(len(rows), -1, len(kernels))  # (A, draws, B)
        below = sign * values < (sign * observed - tolerance)[:, None]
        counts += (~below).sum(axis=1)  # NaN is not below
        total += values.sum(axis=1)
    return counts, total / len(orders)
