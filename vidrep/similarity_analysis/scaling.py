"""A map of systems in the plane and as a tree, and how far both depend on the choice of clips.

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
from vidrep.statistics import enough, numbered

STEPS = 500
STILL = 1e-5  # a step of this share of the largest distance is the last one


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
    kernels: Sequence,
    measure: str,
    *,
    samples: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> SystemMap:
    """The map of representations of the same clips.

    Args:
        kernels: kernel summaries, at least one.
        measure: whose distances are shown.
        samples: half-samples of clips; with fewer than 20 clips none are drawn.
        rng: draws them.
        groups: of each clip, where clips are not independent: then halves are of groups, of which
            there must be 6.
    """
    loaded = [kernel.load() for kernel in kernels]
    values = compare_all(loaded, measure)
    kept = defined(values)
    shown = [loaded[i] for i in kept]
    distances = as_distances(values[np.ix_(kept, kept)], measure)
    points = plane(distances)
    links = tree(distances)
    spread = np.full((len(kept), 2, 2), np.nan)
    support = np.full(len(links), np.nan)
    halves = list(half_samples(shown, measure, samples, rng, groups))
    if halves:
        maps = plane(np.array(halves), points)
        places = [align(found, points) for found in maps]
        spread = _covariances(np.array(places), points)
        support = _support(links, halves)
    return SystemMap(
        kept=kept,
        points=points,
        spread=spread,
        stress=stress(distances, points),
        links=links,
        support=support,
        n=loaded[0].n,
    )


def half_samples(
    kernels: Sequence,
    measure: str,
    samples: int,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> Iterator[np.ndarray]:
    """Distances (R, R) from random halves of the clips, or of their groups.

    A half on which some distance is not defined is left out.
    """
    member, units = numbered(groups, kernels[0].n)
    if not enough(units, kernels[0].n):
        return
    for _ in range(samples):
        half = rng.permutation(units)[: units // 2]
        rows = np.flatnonzero(np.isin(member, half))
        subsets = [kernel.subset(rows) for kernel in kernels]
        values = compare_all(subsets, measure)
        distances = as_distances(values, measure)
        if not np.isnan(distances).any():
            yield distances


def plane(distances: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Places in the plane whose distances come closest by least squares.

    Majorisation (SMACOF: de Leeuw 1977; Borg and Groenen 2005, section 8.6): every step lowers the
    stress.

    Args:
        distances: (..., R, R), one matrix or several at once.
        start: (R, 2) places to start from; those of classical scaling if not given.

    Returns:
        (..., R, 2), centred.
    """
    count = distances.shape[-1]
    if start is None:
        points = classical(distances)
    else:
        points = np.broadcast_to(start, (*distances.shape[:-1], 2))
    for _ in range(STEPS if count > 1 else 0):
        before = points
        away = points[..., :, None, :] - points[..., None, :, :]
        squares = np.einsum("...d,...d->...", away, away)
        shown = np.sqrt(squares)
        nothing = np.zeros_like(distances)
        pull = -np.divide(distances, shown, out=nothing, where=shown > 0)
        diagonal = np.einsum("...ii->...i", pull)  # a view
        diagonal[...] = -pull.sum(-1)
        points = pull @ before / count
        step = np.abs(points - before).max()
        if step < STILL * distances.max():
            break
    return points - points.mean(-2, keepdims=True)


def classical(distances: np.ndarray) -> np.ndarray:
    """Classical scaling into the plane, (R, 2): principal coordinates.

    The largest coordinate of each axis is positive.
    """
    if len(distances) < 2:
        return np.zeros((len(distances), 2))
    values, vectors = np.linalg.eigh(gram(distances))  # from the smallest to the largest
    two_largest = slice(None, -3, -1)
    lengths = np.sqrt(np.maximum(values[two_largest], 0))
    points = vectors[:, two_largest] * lengths
    largest = points[np.abs(points).argmax(0), range(2)]
    return points * np.sign(largest + 1e-300)


def gram(distances: np.ndarray) -> np.ndarray:
    """Inner products (R, R) of centred points with these distances.

    The matrix has negative eigenvalues where there are no such points.
    """
    squares = distances**2
    rows = squares.mean(1)[:, None]
    columns = squares.mean(0)
    return -(squares - columns - rows + squares.mean()) / 2


def stress(distances: np.ndarray, points: np.ndarray) -> float:
    """Kruskal's stress-1: how far the distances on the map are from those wanted.

    It is the root of the sum of squared errors over the sum of squared distances on the map; NaN
    without any distance.
    """
    wanted = squareform(distances, checks=False)
    shown = pdist(points)
    errors = np.sum((wanted - shown) ** 2)
    with np.errstate(invalid="ignore"):
        return float(np.sqrt(errors / np.sum(shown**2)))


def align(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Centred points turned, and mirrored where that helps, to lie on ``target``.

    Their size is kept.
    """
    rotation, _ = orthogonal_procrustes(points, target)
    return points @ rotation


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


def _support(links: np.ndarray, halves: Sequence[np.ndarray]) -> np.ndarray:
    """(R - 1,) share of half-samples in whose tree each branch of a tree recurs."""
    found = [set(clades(tree(half))) for half in halves]
    shares = []
    for branch in clades(links):
        recurs = [branch in branches for branches in found]
        shares.append(np.mean(recurs))
    return np.array(shares)


def _covariances(places: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(R, 2, 2) mean squared deviations of (S, R, 2) places from the places with all clips."""
    away = places - centre
    return np.einsum("sri,srj->rij", away, away) / len(away)
