"""What a value means: beside the untrained floor, the ceiling of retraining, and the number of
pairs that were tested.

Networks are deterministic, so what varies is the seed: two runs of one system differ by retraining
alone, and no two systems need be more alike than that. A similarity between trained networks says
something only above that of their untrained twins.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from vidrep.measures import find
from vidrep.runs import UNTRAINED
from vidrep.similarity.engine import Comparison
from vidrep.statistics import adjusted_p

CALIBRATION_COLUMNS = (
    "q",
    "above_chance",
    "floor",
    "ceiling",
    "calibrated",
    "seeds_a",
    "seeds_b",
    "seed_mean",
    "seed_sd",
)


def calibrate(result: Comparison, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Further columns of a table of all pairs, each (R, R), NaN where there is nothing to say.

    Args:
        result: all pairs under one measure.
        names: ids of the representations, ``<dataset>/<system>/seed<k>/<layer>``; others have no
            floor and no ceiling.

    Returns:
        ``q``: permutation p values adjusted for the number of pairs (Benjamini and Hochberg 1995;
            all pairs of different
        representations are one family). ``above_chance``: 0 at the chance level, 1 for identical
        representations. ``floor``: the value between the two untrained twins. ``ceiling``: how
        alike retrained runs are, the geometric mean of both sides' mean over pairs of seeds
        (arithmetic for distances); NaN with a single seed. ``calibrated``: 0 at the floor, 1 at the
        ceiling. ``seeds_a``, ``seeds_b``: trained runs of each side's system; ``seed_mean``,
        ``seed_sd``: mean and standard deviation of the value over them, see ``over_seeds``.
    """
    where = [name.split("/", 3) if name.count("/") >= 3 else ["", "", "", name] for name in names]
    spec = find(result.measure)
    values = result.values
    distance = spec.is_distance(result.options)
    identity = np.nan if spec.identity is None else 0.0 if distance else 1.0
    floor = _floor(values, where)
    ceiling = _ceiling(values, where, distance)
    numbers = {
        "q": adjusted(result.null_p, result.symmetric),
        "above_chance": _share(values, result.chance, identity),
    }
    return {
        **numbers,
        "floor": floor,
        "ceiling": ceiling,
        "calibrated": _share(values, floor, ceiling),
        **over_seeds(values, where),
    }


def _share(values: np.ndarray, low: np.ndarray, high: np.ndarray | float) -> np.ndarray:
    """Where values lie between a low end (0) and a high end (1); NaN where the two are one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(high - low) > 1e-9, (values - low) / (high - low), np.nan)


def adjusted(null_p: np.ndarray, symmetric: bool) -> np.ndarray:
    """Benjamini-Hochberg adjusted p values of all pairs of different representations, (R, R); NaN
    on the diagonal.
    """
    chosen = ~np.isnan(null_p) & ~np.eye(len(null_p), dtype=bool)
    if symmetric:
        chosen &= np.tri(len(null_p), dtype=bool).T
    q = adjusted_p(np.where(chosen, null_p, np.nan))
    return np.fmax(q, q.T) if symmetric else q


def _floor(values: np.ndarray, where: list[list[str]]) -> np.ndarray:
    """Values between untrained twins. A twin does not depend on the data set, so that of any will
    do.
    """
    twins = {
        (system, layer): i
        for i, (_, system, seed, layer) in enumerate(where)
        if seed == f"seed{UNTRAINED}"
    }
    twin = np.array([twins.get((system, layer), -1) for _, system, _, layer in where])
    trained = np.array([seed != f"seed{UNTRAINED}" for _, _, seed, _ in where])
    known = (twin >= 0) & trained
    return np.where(np.logical_and.outer(known, known), values[np.ix_(twin, twin)], np.nan)


def _retrained(where: list[list[str]]) -> list[list[int]]:
    """Positions of the trained runs of each layer of each system on each data set, which differ by
    their seed alone.
    """
    seeds: dict[tuple, list[int]] = {}
    for i, (dataset, system, seed, layer) in enumerate(where):
        if system and seed != f"seed{UNTRAINED}":
            seeds.setdefault((dataset, system, layer), []).append(i)
    return list(seeds.values())


def _ceiling(values: np.ndarray, where: list[list[str]], distance: bool) -> np.ndarray:
    """Mean likeness of a representation's retrained versions, joined for both sides of a pair."""
    own = np.full(len(where), np.nan)
    for members in _retrained(where):
        if len(members) > 1:
            block = values[np.ix_(members, members)]
            own[members] = block[~np.eye(len(members), dtype=bool)].mean()
    if distance:
        return np.add.outer(own, own) / 2
    own = np.where(own > 0, own, np.nan)
    return np.sqrt(np.outer(own, own))


def over_seeds(values: np.ndarray, where: list[list[str]]) -> dict[str, np.ndarray]:
    """How a value varies when systems are trained anew: what the error over clips does not tell.

    Returns:
        ``seeds_a``, ``seeds_b``: trained runs of either side. ``seed_mean``: mean value over them,
            of a system with itself over
        different seeds. ``seed_sd``: standard deviation from the squared differences of values
        without a common run, half of whose mean is the variance whatever the runs' values share. A
        side with a single run stays as it is; NaN where both do, and of a system with itself with
        fewer than four seeds, any two of whose pairs have a run in common.
    """
    numbers = {
        name: np.full(values.shape, np.nan)
        for name in ("seeds_a", "seeds_b", "seed_mean", "seed_sd")
    }
    sets = _retrained(where)
    for a in sets:
        for b in sets:
            block = np.ix_(a, b)
            cells = [(i, j) for i in a for j in b if i != j]
            numbers["seeds_a"][block], numbers["seeds_b"][block] = len(a), len(b)
            if len(cells) and len(a) * len(b) > 1:
                numbers["seed_mean"][block] = np.mean([values[cell] for cell in cells])
                numbers["seed_sd"][block] = _spread(values, cells, len(a) > 1, len(b) > 1)
    return numbers


def _spread(values: np.ndarray, cells: list[tuple[int, int]], many_a: bool, many_b: bool) -> float:
    """Standard deviation over cells from pairs of them that share no run on a side that has
    several.
    """
    squares = [
        (values[i, j] - values[k, m]) ** 2
        for (i, j), (k, m) in combinations(cells, 2)
        if not (many_a and i in (k, m)) and not (many_b and j in (k, m))
    ]
    return float(np.sqrt(np.mean(squares) / 2)) if squares else np.nan
