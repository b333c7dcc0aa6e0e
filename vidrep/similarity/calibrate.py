"""What a value means: beside the untrained floor, the ceiling of retraining, and the number of pairs that were tested.

Networks are deterministic, so what varies is the seed: two runs of one system differ by retraining alone, and no two systems need
be more alike than that. A similarity between trained networks says something only above that of their untrained twins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control

from vidrep.experiment import UNTRAINED
from vidrep.similarity.engine import Comparison
from vidrep.similarity.registry import find

COLUMNS = ("q", "floor", "ceiling", "calibrated")


def calibrate(result: Comparison, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Further columns of a table of all pairs, each (R, R), NaN where there is nothing to say.

    Args:
        result: all pairs under one measure.
        names: ids of the representations, ``<dataset>/<system>/seed<k>/<layer>``; others have no floor and no ceiling.

    Returns:
        ``q``: permutation p values adjusted for the number of pairs (Benjamini and Hochberg 1995; all pairs of different
        representations are one family). ``floor``: the value between the two untrained twins. ``ceiling``: how alike retrained
        runs are, the geometric mean of both sides' mean over pairs of seeds (arithmetic for distances); NaN with a single seed.
        ``calibrated``: 0 at the floor, 1 at the ceiling.
    """
    where = [name.split("/", 3) if name.count("/") >= 3 else ["", "", "", name] for name in names]
    floor = _floor(result.values, where)
    ceiling = _ceiling(result.values, where, distance=find(result.measure).direction == "distance")
    with np.errstate(divide="ignore", invalid="ignore"):
        span = ceiling - floor
        calibrated = np.where(np.abs(span) > 1e-9, (result.values - floor) / span, np.nan)
    return {"q": adjusted(result.null_p, result.symmetric), "floor": floor, "ceiling": ceiling, "calibrated": calibrated}


def adjusted(null_p: np.ndarray, symmetric: bool) -> np.ndarray:
    """Benjamini-Hochberg adjusted p values of all pairs of different representations, (R, R); NaN on the diagonal."""
    chosen = ~np.isnan(null_p) & ~np.eye(len(null_p), dtype=bool)
    if symmetric:
        chosen &= np.tri(len(null_p), dtype=bool).T
    q = np.full(null_p.shape, np.nan)
    if chosen.any():
        q[chosen] = false_discovery_control(null_p[chosen])
    return np.fmax(q, q.T) if symmetric else q


def _floor(values: np.ndarray, where: list[list[str]]) -> np.ndarray:
    """Values between untrained twins. A twin does not depend on the data set, so that of any will do."""
    twins = {(system, layer): i for i, (_, system, seed, layer) in enumerate(where) if seed == f"seed{UNTRAINED}"}
    twin = np.array([twins.get((system, layer), -1) for _, system, _, layer in where])
    trained = np.array([seed != f"seed{UNTRAINED}" for _, _, seed, _ in where])
    known = (twin >= 0) & trained
    return np.where(np.logical_and.outer(known, known), values[np.ix_(twin, twin)], np.nan)


def _ceiling(values: np.ndarray, where: list[list[str]], distance: bool) -> np.ndarray:
    """Mean likeness of a representation's retrained versions, joined for both sides of a pair."""
    seeds: dict[tuple, list[int]] = {}
    for i, (dataset, system, seed, layer) in enumerate(where):
        if system and seed != f"seed{UNTRAINED}":
            seeds.setdefault((dataset, system, layer), []).append(i)
    own = np.full(len(where), np.nan)
    for members in seeds.values():
        if len(members) > 1:
            block = values[np.ix_(members, members)]
            own[members] = block[~np.eye(len(members), dtype=bool)].mean()
    if distance:
        return np.add.outer(own, own) / 2
    own = np.where(own > 0, own, np.nan)
    return np.sqrt(np.outer(own, own))
