"""A map of systems: representations in the plane and as a tree, and how far both depend on the
choice of clips.

Clips are resampled by halves without replacement. A bootstrap would draw clips twice, whose
likeness to themselves biases every measure (docs/design.md). Half of the clips is the share at
which the spread over subsamples is that of the full sample (delete-d jackknife with d = n/2: Wu
1986, Annals of Statistics 14:1261; Shao and Wu 1989, Annals of Statistics 17:1176).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist, squareform

from vidrep.similarity.engine import compare_all
from vidrep.similarity_analysis.distances import as_distances, defined
from vidrep.statistics import FEWEST_FOR_INTERVALS

_STEPS = 500
_STILL = 1e-5  # a step of this share of the largest distance is the last one


@dataclass(frozen=True)
class SystemMap:
    """Representations on a map and in a tree.

    Attributes:
        kept: (R,) positions of the representations shown, among those given; others have no value.
        points: (R, 2) places, in the unit of the distances.
        spread: (R, 2, 2) covariance of each place over half-samples of clips, NaN without any.
        stress: Kruskal's stress-1 of the map: 0 where all distances are kept.
        links: (R - 1, 4) tree of average linkage in SciPy's form.
        support: (R - 1,) share of half-samples in whose tree the same branch recurs, NaN without
            any.
        n: clips.
    """

    kept: np.ndarray
    points: np.ndarray
    spread: np.ndarray
    stress: float
    links: np.ndarray
    support: np.ndarray
    n: int


def map_systems(
    kernels: Sequence, measure: str, *, samples: int, rng: np.random.Generator
) -> SystemMap:
    """The map of representations of the same clips.

    Args:
        kernels: kernel summaries, at least one.
        measure: whose distances are shown.
        samples: half-samples of clips; with fewer than 20 clips none are drawn.
        rng: draws them.
    """
    loaded = [kernel.load() for kernel in kernels]
    values = compare_all(loaded, measure)
    kept = defined(values)
    distances = as_distances(values[np.ix_(kept, kept)], measure)
    points = plane(distances)
    links = tree(distances)
    halves = list(half_samples([loaded[i] for i in kept], measure, samples, rng))
    spread = np.full((len(kept), 2, 2), np.nan)
    support = np.full(len(links), np.nan)
    if halves:
        places = [align(half, points) for half in plane(np.array(halves), points)]
        spread = _covariances(np.array(places), points)
        branches = clades(links)
        found = [set(clades(tree(half))) for half in halves]
        support = np.array([np.mean([branch in other for other in found]) for branch in branches])
    return SystemMap(kept, points, spread, stress(distances, points), links, support, loaded[0].n)


def half_samples(
    kernels: Sequence, measure: str, samples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Distances (R, R) from random halves of the clips; a half on which some distance is not
    defined is left out.
    """
    n = kernels[0].n
    for _ in range(samples if n >= FEWEST_FOR_INTERVALS else 0):
        rows = np.sort(rng.permutation(n)[: n // 2])
        distances = as_distances(
            compare_all([kernel.subset(rows) for kernel in kernels], measure), measure
        )
        if not np.isnan(distances).any():
            yield distances


def plane(distances: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Places in the plane whose distances come closest by least squares, for one matrix of
    distances or for several at once.

    Majorisation (SMACOF: de Leeuw 1977; Borg and Groenen 2005, section 8.6): every step lowers the
    stress.

    Args:
        distances: (..., R, R).
        start: (R, 2) places to start from; those of classical scaling if not given.

    Returns:
        (..., R, 2), centred.
    """
    count = distances.shape[-1]
    points = (
        classical(distances)
        if start is None
        else np.broadcast_to(start, (*distances.shape[:-1], 2))
    )
    for _ in range(_STEPS if count > 1 else 0):
        away = points[..., :, None, :] - points[..., None, :, :]
        shown = np.sqrt(np.einsum("...d,...d->...", away, away))
        pull = -np.divide(distances, shown, out=np.zeros_like(distances), where=shown > 0)
        np.einsum("...ii->...i", pull)[...] = -pull.sum(-1)
        points, before = pull @ points / count, points
        if np.abs(points - before).max() < _STILL * distances.max():
            break
    return points - points.mean(-2, keepdims=True)


def classical(distances: np.ndarray) -> np.ndarray:
    """Classical scaling into the plane, (R, 2): principal coordinates; the largest coordinate of
    each axis is positive.
    """
    if len(distances) < 2:
        return np.zeros((len(distances), 2))
    values, vectors = np.linalg.eigh(gram(distances))
    points = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0))
    return points * np.sign(points[np.abs(points).argmax(0), range(2)] + 1e-300)


def gram(distances: np.ndarray) -> np.ndarray:
    """Inner products (R, R) of centred points with these distances; has negative eigenvalues where
    there are no such points.
    """
    squares = distances**2
    return -(squares - squares.mean(0) - squares.mean(1)[:, None] + squares.mean()) / 2


def stress(distances: np.ndarray, points: np.ndarray) -> float:
    """Kruskal's stress-1: root of the squared errors of all distances over the squared distances on
    the map; NaN without any.
    """
    wanted = squareform(distances, checks=False)
    shown = pdist(points)
    with np.errstate(invalid="ignore"):
        return float(np.sqrt(np.sum((wanted - shown) ** 2) / np.sum(shown**2)))


def align(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Centred points turned, and mirrored where that helps, to lie on ``target``; their size is
    kept.
    """
    return points @ orthogonal_procrustes(points, target)[0]


def tree(distances: np.ndarray) -> np.ndarray:
    """Average linkage, (R - 1, 4)."""
    if len(distances) < 2:
        return np.zeros((0, 4))
    return linkage(squareform(distances, checks=False), "average")


def clades(links: np.ndarray) -> list[frozenset[int]]:
    """The leaves under each branch of a tree, in the order of its links."""
    count = len(links) + 1
    members = [frozenset([leaf]) for leaf in range(count)]
    for left, right in links[:, :2].astype(int):
        members.append(members[left] | members[right])
    return members[count:]


def _covariances(places: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(R, 2, 2) mean squared deviations of (S, R, 2) places from the places with all clips."""
    away = places - centre
    return np.einsum("sri,srj->rij", away, away) / len(away)
