"""Which system is nearest to which, and is it surely nearer than the runner-up?

Embeddings of the trained runs against those of the other systems trained on the same data set.
Nearest and runner-up are found on the clips that then tell them apart; a two-sided test of these
two keeps its level all the same as a test of whether the nearest system is nearest (Hung and
Fithian 2019, Annals of Statistics 47:758).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vidrep.measures import find
from vidrep.runs import UNTRAINED
from vidrep.similarity.difference import differences, rows
from vidrep.similarity.engine import compare_all
from vidrep.similarity.files import StoredKernel


def embeddings(kernels: Sequence[StoredKernel]) -> list[StoredKernel]:
    """The last layer of every run."""
    return list({kernel.path: kernel for kernel in kernels}.values())


def nearest_rows(
    kernels: Sequence[StoredKernel], measure: str, *, intervals: bool, seed: int, memory_mb: float
) -> list[list[str]]:
    """Rows of ``DIFFERENCE_COLUMNS`` for one evaluation set: run, nearest and next system, the two
    values and their difference.

    Args:
        kernels: of all runs on the evaluation set.
        measure: one of ``measures()``.
        intervals: compute intervals and p values.
        seed: of the random groups of clips that are left out.
        memory_mb: budget for the arrays that pairs are computed from.
    """
    cells = []
    chosen = []
    names = []
    distance = find(measure).is_distance(find(measure).settings({}))
    for members in _by_dataset(embeddings(kernels)):
        values = compare_all(members, measure, memory_mb=memory_mb)
        for a, others in _rivals(members):
            defined = [b for b in others if not np.isnan(values[a, b])]
            if len(defined) > 1:
                b, c, *_ = sorted(
                    defined, key=lambda b: values[a, b] if distance else -values[a, b]
                )
                start = len(chosen)
                cells.append(((start + a, start + b), (start + a, start + c)))
                names.append(tuple(members[k].rep for k in (a, b, c)))
        chosen += members
    return rows(differences(chosen, cells, measure, intervals=intervals, seed=seed), names)


def _by_dataset(kernels: Sequence[StoredKernel]) -> Iterator[list[StoredKernel]]:
    """Embeddings of the runs on one data set: all trained runs, and of systems that are never
    trained their only one.
    """
    for dataset in dict.fromkeys(_part(kernel, 0) for kernel in kernels):
        members = [kernel for kernel in kernels if _part(kernel, 0) == dataset]
        trained = {_part(kernel, 1) for kernel in members if _is_trained(kernel)}
        yield [
            kernel for kernel in members if _is_trained(kernel) or _part(kernel, 1) not in trained
        ]


def _rivals(members: Sequence[StoredKernel]) -> Iterator[tuple[int, list[int]]]:
    """Yield each trained run with the first run of every other system, by position."""
    first: dict[str, int] = {}
    for k, kernel in enumerate(members):
        first.setdefault(_part(kernel, 1), k)
    for a, kernel in enumerate(members):
        if _is_trained(kernel):
            yield a, [b for system, b in first.items() if system != _part(kernel, 1)]


def _part(kernel: StoredKernel, place: int) -> str:
    return kernel.rep.split("/", 3)[place]


def _is_trained(kernel: StoredKernel) -> bool:
    return _part(kernel, 2) != f"seed{UNTRAINED}"
