"""Blocks of prepared representations, as large as memory holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vidrep.similarity import resample
from vidrep.similarity.kernel import Activations, Kernel
from vidrep.similarity.machine import spread, threads
from vidrep.similarity.measure import Measure, Prepared


def prepare(item: Kernel, spec: Measure, options: dict) -> Prepared:
    if spec.tiled and isinstance(item, Activations) and item.n >= spec.minimum_n:
        return spec.prepare(item, options)
    return resample.prepared(item.load(), spec, options)


def block_sizes(
    spec: Measure,
    n: int,
    memory_mb: float,
    most: int,
    values_only: bool,
) -> tuple[int, int]:
    """How many representations stand on either side of a block.

    Those of the second side are prepared again for every block, so it is short.

    Intervals and nulls make arrays of both sides, so that they share the memory evenly.
    """
    array = 8 * max(n, 1) ** 2
    memory = memory_mb * 2**20
    if not values_only:
        size = max(1, int(memory / (2 * spec.arrays_per_rep * array)))
        return size, size
    if spec.tiled:
        return max(most, 1), max(most, 1)
    at_work = threads() * spec.arrays_per_rep * array
    places = int((memory - at_work) / (spec.arrays_kept * array))
    return max(1, places - places // 5), max(1, places // 5)


def blocks_of(
    items: Sequence[Kernel],
    columns: Sequence[Kernel],
    spec: Measure,
    options: dict,
    sizes: tuple[int, int],
    symmetric: bool,
) -> Iterator[tuple]:
    """Yield (row positions, column positions, rows, columns) of prepared representations.

    There are at most ``sizes`` of them on either side.

    With one list the rows meet themselves in one block; with ``symmetric`` those before them only,
    else all others.
    """
    size, width = sizes
    for start in range(0, len(items), size):
        i = range(start, min(start + size, len(items)))
        rows = spread(lambda k: prepare(items[k], spec, options), i)
        spans = [range(0, len(columns))]
        if columns is items:
            yield i, i, rows, rows
            spans = [range(0, start)]
            if not symmetric:
                spans.append(range(i.stop, len(columns)))
        for span in spans:
            for first in range(span.start, span.stop, width):
                j = range(first, min(first + width, span.stop))
                yield i, j, rows, spread(lambda k: prepare(columns[k], spec, options), j)
