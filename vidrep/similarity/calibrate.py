"""What a value means: beside a floor, a ceiling, and the number of pairs that were tested.

Networks are deterministic, so what varies is the seed: two runs of one system differ by retraining
alone, and no two systems need be more alike than that. A similarity between trained networks says
something only above that of their untrained baselines.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np

from vidrep.measures import find
from vidrep.similarity.engine import Comparison
from vidrep.similarity.rep import Rep
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
        all pairs of different representations are one family). ``above_chance``: 0 at the chance
        level, 1 for identical representations. ``floor``: the value between the two untrained
        baselines. ``ceiling``: how alike retrained runs are, the geometric mean of both sides' mean
        over pairs of seeds (arithmetic for distances); NaN with a single seed. ``calibrated``: 0 at
        the floor, 1 at the ceiling. ``seeds_a``, ``seeds_b``: trained runs of each side's system;
        ``seed_mean``, ``seed_sd``: mean and standard deviation of the value over them, see
        ``over_seeds``.
    """
    reps = [Rep.parse(name) for name in names]
    spec = find(result.measure)
    values = result.values
    distance = spec.is_distance(result.options)
    identity = np.nan
    if spec.identity is not None:
        identity = 0.0 if distance else 1.0
    floor = _floor(values, reps)
    ceiling = _ceiling(values, reps, distance)
    return {
        "q": adjusted(result.null_p, result.symmetric),
        "above_chance": _share(values, result.chance, identity),
        "floor": floor,
        "ceiling": ceiling,
        "calibrated": _share(values, floor, ceiling),
        **over_seeds(values, reps),
    }


def _share(values: np.ndarray, low: np.ndarray, high: np.ndarray | float) -> np.ndarray:
    """Where values lie between a low end (0) and a high end (1); NaN where the two are one."""
    width = high - low
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(width) > 1e-9, (values - low) / width, np.nan)


def adjusted(null_p: np.ndarray, symmetric: bool) -> np.ndarray:
    """(R, R) p values adjusted for the number of pairs; NaN on the diagonal."""
    chosen = ~np.isnan(null_p) & ~np.eye(len(null_p), dtype=bool)
    if symmetric:
        chosen &= np.tri(len(null_p), dtype=bool).T
    q = adjusted_p(np.where(chosen, null_p, np.nan))
    return np.fmax(q, q.T) if symmetric else q


def _floor(values: np.ndarray, reps: Sequence[Rep]) -> np.ndarray:
    """Values between untrained baselines.

    These do not depend on the data set, so that the baseline of any will do.
    """
    place = {(rep.system, rep.layer): i for i, rep in enumerate(reps) if not rep.trained}
    baseline = np.array([place.get((rep.system, rep.layer), -1) for rep in reps])
    trained = np.array([rep.trained for rep in reps])
    known = (baseline >= 0) & trained
    both = np.logical_and.outer(known, known)
    return np.where(both, values[np.ix_(baseline, baseline)], np.nan)


def _retrained(reps: Sequence[Rep]) -> list[list[int]]:
    """Positions of the trained runs of each layer, which differ by their seed alone.

    A layer is one of a system on a data set.
    """
    seeds: dict[tuple, list[int]] = {}
    for i, rep in enumerate(reps):
        if rep.system and rep.trained:
            seeds.setdefault((rep.dataset, rep.system, rep.layer), []).append(i)
    return list(seeds.values())


def _ceiling(values: np.ndarray, reps: Sequence[Rep], distance: bool) -> np.ndarray:
    """Mean likeness of a representation's retrained versions, joined for both sides of a pair."""
    own = np.full(len(reps), np.nan)
    for members in _retrained(reps):
        if len(members) > 1:
            block = values[np.ix_(members, members)]
            own[members] = block[~np.eye(len(members), dtype=bool)].mean()
    if distance:
        return np.add.outer(own, own) / 2
    own = np.where(own > 0, own, np.nan)
    return np.sqrt(np.outer(own, own))


def over_seeds(values: np.ndarray, reps: Sequence[Rep]) -> dict[str, np.ndarray]:
    """How a value varies when systems are trained anew: what the error over clips does not tell.

    Returns:
        ``seeds_a``, ``seeds_b``: trained runs of either side. ``seed_mean``: mean value over them,
        of a system with itself over different seeds. ``seed_sd``: standard deviation from the
        squared differences of values without a common run, half of whose mean is the variance
        whatever the runs' values share. A side with a single run stays as it is; NaN where both do,
        and of a system with itself with fewer than four seeds, any two of whose pairs have a run in
        common.
    """
    seeds_a = np.full(values.shape, np.nan)
    seeds_b = np.full(values.shape, np.nan)
    mean = np.full(values.shape, np.nan)
    spread = np.full(values.shape, np.nan)
    sets = _retrained(reps)
    for a, b in product(sets, repeat=2):
        block = np.ix_(a, b)
        seeds_a[block] = len(a)
        seeds_b[block] = len(b)
        cells = [(i, j) for i, j in product(a, b) if i != j]
        if cells and len(a) * len(b) > 1:
            mean[block] = np.mean([values[cell] for cell in cells])
            spread[block] = _spread(values, cells, len(a) > 1, len(b) > 1)
    return {"seeds_a": seeds_a, "seeds_b": seeds_b, "seed_mean": mean, "seed_sd": spread}


def _spread(values: np.ndarray, cells: list[tuple[int, int]], many_a: bool, many_b: bool) -> float:
    """Standard deviation over cells.

    It is made from pairs of them that share no run on a side that has several.
    """
    squares = []
    for (i, j), (k, m) in combinations(cells, 2):
        shared_a = many_a and i in (k, m)
        shared_b = many_b and j in (k, m)
        if not (shared_a or shared_b):
            squares.append((values[i, j] - values[k, m]) ** 2)
    return float(np.sqrt(np.mean(squares) / 2)) if squares else np.nan
