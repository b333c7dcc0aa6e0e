"""Errors of generated frames clip by clip, and whether one mean is clearly above another."""

import numpy as np
import torch

from studies.fidelity.claim import Finding
from studies.results import Results
from vidrep.statistics import NORMAL_QUANTILE

Interval = tuple[float, float, float]


def mean_difference(a: np.ndarray, b: np.ndarray, *, paired: bool = True) -> Interval:
    """Mean of a - b with its normal 95 % interval: value, low, high.

    Args:
        a, b: a value for each clip.
        paired: whether both are of the same clips; else of two groups of clips.
    """
    value = a.mean() - b.mean()
    error = standard_error(a - b) if paired else np.hypot(standard_error(a), standard_error(b))
    half = NORMAL_QUANTILE * error
    return float(value), float(value - half), float(value + half)


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean of independent values."""
    return values.std(ddof=1) / len(values) ** 0.5


def above(names: tuple[str, str], a: np.ndarray, b: np.ndarray, *, paired: bool = True) -> Finding:
    """Is the mean of a clearly above that of b?"""
    value, low, high = mean_difference(a, b, paired=paired)
    means = f"{names[0]} {a.mean():.3g}, {names[1]} {b.mean():.3g}"
    return Finding(f"{means}: {value:+.3g} [{low:+.3g}, {high:+.3g}]", low > 0)


@torch.no_grad()
def clip_scores(results: Results, system: str, dataset: str) -> dict[str, np.ndarray]:
    """Scores of a run on the test clips of its data set, (n,) each."""
    objective = results.load(dataset, system)
    found = [objective.score(batch) for batch in results.batches(dataset)]
    scores = {}
    for name in found[0]:
        values = torch.cat([part[name] for part in found])
        scores[name] = values.double().numpy()
    return scores
