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
from vidrep.similarity.difference import differences, rows
from vidrep.similarity.engine import compare_all
from vidrep.similarity.files import StoredKernel
from vidrep.similarity.rep import Rep


def embeddings(kernels: Sequence[StoredKernel]) -> list[StoredKernel]:
    """The last layer of every run."""
    return list({kernel.path: kernel for kernel in kernels}.values())


def nearest_rows(
    kernels: Sequence[StoredKernel],
    measure: str,
    *,
    intervals: bool,
    seed: int,
    memory_mb: float,
    groups: Sequence[str] | None = None,
) -> list[list[str]]:
    """Rows of ``DIFFERENCE_COLUMNS`` for one evaluation set.

    They tell of each run the nearest and the next system, the two values and their difference.

    Args:
        kernels: of all runs on the evaluation set.
        measure: one of ``measures()``.
        intervals: compute intervals and p values.
        seed: of the random groups of clips that are left out.
        memory_mb: budget for the arrays that pairs are computed from.
        groups: what each clip shares with others, where clips are not independent.
    """
    cells = []
    chosen = []
    names = []
    for members in _by_dataset(embeddings(kernels)):
        values = compare_all(members, measure, memory_mb=memory_mb)
        apart = values if _is_distance(measure) else -values
        for a, others in _rivals(members):
            defined = [b for b in others if not np.isnan(values[a, b])]
            if len(defined) < 2:
                continue
            b, c = sorted(defined, key=lambda other: apart[a, other])[:2]
            start = len(chosen)
            cells.append(((start + a, start + b), (start + a, start + c)))
            names.append((members[a].rep, members[b].rep, members[c].rep))
        chosen += members
    found = differences(chosen, cells, measure, intervals=intervals, groups=groups, seed=seed)
    return rows(found, names)


def _is_distance(measure: str) -> bool:
    spec = find(measure)
    return spec.is_distance(spec.settings({}))


def _by_dataset(kernels: Sequence[StoredKernel]) -> Iterator[list[StoredKernel]]:
    """Embeddings of the runs on one data set, without the untrained baselines of trained systems.

    Systems that are never trained keep their only run.
    """
    groups: dict[str, list[StoredKernel]] = {}
    for kernel in kernels:
        groups.setdefault(Rep.parse(kernel.rep).dataset, []).append(kernel)
    for members in groups.values():
        reps = [Rep.parse(kernel.rep) for kernel in members]
        trained = {rep.system for rep in reps if rep.trained}
        yield [
            kernel
            for kernel, rep in zip(members, reps, strict=True)
            if rep.trained or rep.system not in trained
        ]


def _rivals(members: Sequence[StoredKernel]) -> Iterator[tuple[int, list[int]]]:
    """Yield each trained run with the first run of every other system, by position."""
    reps = [Rep.parse(kernel.rep) for kernel in members]
    first: dict[str, int] = {}
    for k, rep in enumerate(reps):
        first.setdefault(rep.system, k)
    for a, rep in enumerate(reps):
        if rep.trained:
            yield a, [b for system, b in first.items() if system != rep.system]
