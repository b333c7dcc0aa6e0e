"""Inner products of the linear kernels of all pairs, and no kernel more than needed.

<K, L> of centred kernels K = X X^T, L = Y Y^T is ||X^T Y||^2: narrow representations are multiplied
as they are. Wide ones meet in row tiles of all kernels, below the diagonal: as many at a time as
memory holds, summed over tiles in float64. What lies on the diagonal is kept apart, since the
debiased estimator leaves it out and would otherwise lose digits to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from vidrep.similarity.centring import EPS
from vidrep.similarity.kernel import FEWEST_SINGLE, Activations, Kernel
from vidrep.similarity.machine import current, spread

TILE = 256  # rows of a tile
RUN = 8192  # terms of a sum in single precision
FEATURES = 2**21  # numbers in one block of centred features, so that it stays in the cache
SAFE = 1e12  # traces from its inverse to itself are far from what single precision cannot hold

Item = Activations | Kernel


def inner_products(kernels: Sequence[Item]) -> tuple[np.ndarray, np.ndarray, float]:
    """What linear CKA needs of all pairs.

    Products are single where all activations are stored in single precision or less, sums double.

    Args:
        kernels: R representations of the same n clips.

    Returns:
        (R, R) sums of K_ij L_ij over i != j of the centred linear kernels of trace 1, (R, n) their
        diagonals, NaN for constant representations; relative spacing of the numbers that were
        multiplied.

    Raises:
        ValueError: activations that are not finite.
    """
    single = kernels[0].n >= FEWEST_SINGLE and all(kernel.eps > EPS for kernel in kernels)
    dtype = np.dtype(np.float32 if single else np.float64)
    multiply = _from_features if _narrow(kernels, dtype) else _from_kernels
    off_diagonal, diagonals = multiply(kernels, dtype)
    trace = diagonals.sum(axis=1)
    inner = off_diagonal / trace / trace[:, None]
    return inner, diagonals / trace[:, None], float(np.finfo(dtype).eps)


def _has_features(kernel: Item) -> bool:
    return isinstance(kernel, Activations) or kernel.columns is not None


def _narrow(kernels: Sequence[Item], dtype: np.dtype) -> bool:
    """Whether products of features cost less than those of kernels, and fit into memory."""
    n = kernels[0].n
    d = sum(kernel.d for kernel in kernels)
    cheaper = d * d < d * n + len(kernels) ** 2 * n
    fitting = d * n * dtype.itemsize < current().bytes / 2
    return cheaper and fitting and all(map(_has_features, kernels))


def _use(kernel: Item, dtype: np.dtype, use: Callable[[Iterator[np.ndarray]], None]) -> np.ndarray:
    """Call ``use`` with the centred feature blocks; return the (n,) sums of their squares.

    The sums are NaN for a constant representation. Magnitudes whose products would overflow or
    vanish are scaled first, in float64, and used again.
    """
    squares = np.zeros(kernel.n)
    mean_square = 0.0

    def counted(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        squares[:] = 0
        for block in blocks:
            squares[:] += np.einsum("ij,ij->i", block, block)
            yield block

    def centred() -> Iterator[np.ndarray]:
        nonlocal mean_square
        for block, mean in kernel.centred(dtype, max(1, FEATURES // kernel.n)):
            mean_square += float(mean @ mean)
            yield block

    with np.errstate(over="ignore", invalid="ignore"):
        use(counted(centred()))
    if not 1 / SAFE < squares.sum() < SAFE:
        summary = kernel.load()
        if summary.flag:
            squares[:] = np.nan
        else:
            use(counted(block.astype(dtype) for block in summary.features()))
    elif squares.sum() <= 16 * EPS**2 * kernel.n * mean_square:
        squares[:] = np.nan
    return squares


def _from_features(kernels: Sequence[Item], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Off-diagonal inner products and diagonals by the products of all features with all."""
    ends = np.cumsum([0, *(kernel.d for kernel in kernels)])
    joint = np.empty((ends[-1], kernels[0].n), dtype=dtype)

    def fill(r: int) -> np.ndarray:
        def write(blocks: Iterator[np.ndarray]) -> None:
            start = ends[r]
            for block in blocks:
                joint[start : start + block.shape[1]] = block.T
                start += block.shape[1]

        return _use(kernels[r], dtype, write)

    def multiply(group: tuple[int, int]) -> np.ndarray:
        first, last = group
        own = joint[ends[first] : ends[last]]
        with_earlier = machine.product(own, joint[: ends[first]])
        with_own = machine.product(own, own)
        product = np.concatenate([with_earlier, with_own], axis=1)
        product *= product
        within = np.add.reduceat(product, ends[:last], axis=1, dtype=np.float64)
        return np.add.reduceat(within, ends[first:last] - ends[first], axis=0)

    machine = current()
    diagonals = np.array(spread(fill, range(len(kernels))))
    total = np.zeros((len(kernels), len(kernels)))
    # the largest first, or one core ends alone with it
    groups = _groups([kernel.d for kernel in kernels], TILE)[::-1]
    for (first, last), sums in zip(groups, spread(multiply, groups), strict=True):
        total[first:last, :last] = sums
        total[:last, first:last] = sums.T
    return total - diagonals @ diagonals.T, diagonals


def _groups(sizes: Sequence[int], most: float) -> list[tuple[int, int]]:
    """Consecutive items (first, last + 1) whose sizes add up to ``most``, or single ones."""
    groups = []
    first = 0
    total = 0
    for i, size in enumerate(sizes):
        if i > first and total + size > most:
            groups.append((first, i))
            first = i
            total = 0
        total += size
    return [*groups, (first, len(sizes))]


def _from_kernels(kernels: Sequence[Item], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Off-diagonal inner products and diagonals by row tiles of all kernels.

    As many tiles are made at a time as memory holds.
    """
    n = kernels[0].n
    entry = len(kernels) * dtype.itemsize  # bytes of one place in all kernels
    half = current().bytes / 2
    height = int(min(TILE, max(half / (entry * n), 1)))
    tiles = [(start, min(start + height, n)) for start in range(0, n, height)]
    total = np.zeros((len(kernels), len(kernels)))
    diagonals = np.zeros((len(kernels), n))
    sizes = [entry * (stop - start) * stop for start, stop in tiles]
    for first, last in _groups(sizes, half):
        chosen = tiles[first:last]
        arrays = []
        for start, stop in chosen:
            arrays.append(current().lift(np.empty((len(kernels), stop - start, stop), dtype)))

        def fill(r: int, chosen=chosen, arrays=arrays) -> np.ndarray:
            return _fill(kernels[r], dtype, chosen, [array[r] for array in arrays])

        rows = slice(chosen[0][0], chosen[-1][1])
        diagonals[:, rows] = np.array(spread(fill, range(len(kernels))))[:, rows]
        # the largest first, or one core ends alone with it
        total += sum(spread(_contract, arrays[::-1]))
    return 2 * total, diagonals


def _fill(
    kernel: Item,
    dtype: np.dtype,
    tiles: Sequence[tuple[int, int]],
    arrays: Sequence,
) -> np.ndarray:
    """Write the strictly lower triangle of some rows of one kernel; return (n,) its diagonal.

    The diagonal is that of these rows at least; it is NaN for a constant representation.
    """

    def multiply(blocks: Iterator[np.ndarray]) -> None:
        for k, block in enumerate(blocks):
            block = current().lift(block)
            for (start, stop), array in zip(tiles, arrays, strict=True):
                if k:
                    array += block[start:stop] @ block[:stop].T
                else:
                    array[...] = block[start:stop] @ block[:stop].T

    if _has_features(kernel):
        diagonal = _use(kernel, dtype, multiply)
    else:
        diagonal = np.full(kernel.n, np.nan)
        for (start, stop), array in zip(tiles, arrays, strict=True):
            part = kernel.matrix_rows(start, stop)
            array[...] = current().lift(part.astype(dtype))
            if not kernel.flag:
                diagonal[start:stop] = part.diagonal(start)
    for (start, stop), array in zip(tiles, arrays, strict=True):
        array[:, start:] *= current().lift(np.tri(stop - start, k=-1, dtype=dtype))
    return diagonal


def _contract(array) -> np.ndarray:
    """(R, R) inner products of (R, rows, columns) arrays.

    Short sums run in their precision, and sums of these in float64.
    """
    flat = array.reshape(len(array), -1)
    total = current().lift(np.zeros((len(array), len(array))))
    for start in range(0, flat.shape[1], RUN):
        part = flat[:, start : start + RUN]
        total += part @ part.T
    return current().lower(total)
