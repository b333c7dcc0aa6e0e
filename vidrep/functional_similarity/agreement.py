"""How alike runs answer: agreement, Cohen's kappa, error consistency, Jensen-Shannon divergence.

All statistics are functions of weighted means over clips. Their arguments ``weights`` are (draws,
n), each row summing to 1: equal weights give the value, resampled clips its bootstrap
distribution. Results are (draws, R, R) for R runs.
"""

from __future__ import annotations

import numpy as np
from scipy.special import entr

SHIFTS = 20  # re-pairings of clips behind the chance level of the divergence


def categories(sets: np.ndarray) -> np.ndarray:
    """Label sets (R, n, classes) as numbers (R, n): equal where the sets are."""
    runs, n, classes = sets.shape
    _, numbers = np.unique(sets.reshape(-1, classes), axis=0, return_inverse=True)
    return numbers.reshape(runs, n)


def means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means over clips: (..., n) and (draws, n) -> (draws, ...)."""
    return np.moveaxis(values @ weights.T, -1, 0)


def agreement(given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of clips to which both runs give the same answer, from categories (R, n)."""
    same = given[:, None] == given[None]
    return means(same.astype(np.float64), weights)


def chance_agreement(given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected agreement of answers that are re-paired at random.

    It is the sum over answers of the product of both runs' shares of them.
    """
    answers = np.arange(given.max() + 1)
    one_hot = given[:, None] == answers[:, None]  # (R, answers, n)
    shares = means(one_hot.astype(np.float64), weights)
    return shares @ shares.transpose(0, 2, 1)


def kappa(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Agreement beyond chance as a share of what is possible (Cohen 1960).

    NaN where chance alone gives full agreement.
    """
    possible = 1 - expected
    undefined = possible <= 1e-12
    share = (observed - expected) / np.where(undefined, 1, possible)
    return np.where(undefined, np.nan, share)


def cohen(given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Cohen's kappa of the answers, each label set a category of its own."""
    return kappa(agreement(given, weights), chance_agreement(given, weights))


def error_consistency(right: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Kappa of being right and wrong on the same clips, from (R, n) bool.

    Geirhos et al. 2020 (arXiv:2006.16736), eq. 1 to 3.
    """
    share = means(right.astype(np.float64), weights)  # (draws, R)
    first = share[:, :, None]
    second = share[:, None]
    expected = first * second + (1 - first) * (1 - second)
    return kappa(agreement(right, weights), expected)


def entropy(scores: np.ndarray, multi_label: bool) -> np.ndarray:
    """Entropy in bits of (..., classes): of the distribution over classes.

    With several labels it is the mean over yes-or-no classes.
    """
    if multi_label:
        nats = (entr(scores) + entr(1 - scores)).mean(axis=-1)
        return nats / np.log(2)
    return entr(scores).sum(axis=-1) / np.log(2)


def divergences(scores: np.ndarray, multi_label: bool, shift: int = 0) -> np.ndarray:
    """Jensen-Shannon divergence (Lin 1991) in bits, in [0, 1], of every pair of runs on every clip.

    Args:
        scores: (R, n, classes) probabilities; they sum to 1 unless ``multi_label``.
        multi_label: mean over classes of the divergences between yes and no.
        shift: compare clip i of the first run with clip i + shift of the second.

    Returns:
        (R, R, n).
    """
    other = np.roll(scores, -shift, axis=1)
    mixed = np.array([entropy((row + other) / 2, multi_label) for row in scores])  # (R, R, n)
    own = entropy(scores, multi_label)  # (R, n)
    mean = (own[:, None] + np.roll(own, -shift, axis=1)) / 2
    return np.maximum(mixed - mean, 0)


def chance_divergence(scores: np.ndarray, multi_label: bool) -> np.ndarray:
    """(R, R) mean divergence of clips re-paired by up to ``SHIFTS`` evenly spread shifts."""
    n = scores.shape[1]
    shifts = np.unique(np.linspace(1, n - 1, min(SHIFTS, n - 1)).astype(int))
    found = [divergences(scores, multi_label, shift).mean(axis=-1) for shift in shifts]
    return np.mean(found, axis=0)
