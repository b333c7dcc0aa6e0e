"""From values of a measure to distances between representations."""

import numpy as np

from vidrep.measures import find


def as_distances(values: np.ndarray, measure: str) -> np.ndarray:
    """Distances of a measure's values, (R, R), symmetric, 0 on the diagonal.

    A distance measure is its own; a similarity counts as a cosine and becomes an angle in radians,
    pi/2 for unrelated representations. CKA, with or without its bias, and RSA are cosines between
    centred arrays, so that their angle is a metric (Williams et al. 2021, arXiv:2110.14739); of
    other similarities the angle keeps the order and nothing else.

    Raises:
        ValueError: no such measure.
    """
    distances = values
    if find(measure).direction == "similarity":
        distances = np.arccos(np.clip(values, -1, 1))
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    return distances


def defined(values: np.ndarray) -> np.ndarray:
    """Positions (K,) of representations that all have a value with each other.

    Those with most gaps are left out first.
    """
    kept = np.arange(len(values))
    while True:
        missing = np.isnan(values[np.ix_(kept, kept)]).sum(1)
        if not missing.any():
            return kept
        kept = np.delete(kept, missing.argmax())
