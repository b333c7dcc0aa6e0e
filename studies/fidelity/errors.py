"""Errors of generated frames clip by clip, and whether one mean is clearly above another."""

from collections.abc import Iterator

import numpy as np
import torch

from studies.fidelity.claim import Finding, Results
from vidrep.statistics import NORMAL_QUANTILE

Interval = tuple[float, float, float]


def difference(a: np.ndarray, b: np.ndarray, *, paired: bool = True) -> Interval:
    """Mean of a - b with its normal 95 % interval; ``paired``: values of the same clips, else of
    two groups of clips.
    """
    value = a.mean() - b.mean()
    error = (
        (a - b).std(ddof=1) / len(a) ** 0.5
        if paired
        else np.hypot(*(x.std(ddof=1) / len(x) ** 0.5 for x in (a, b)))
    )
    half = NORMAL_QUANTILE * error
    return float(value), float(value - half), float(value + half)


def above(names: tuple[str, str], a: np.ndarray, b: np.ndarray, *, paired: bool = True) -> Finding:
    """Is the mean of a clearly above that of b?"""
    value, low, high = difference(a, b, paired=paired)
    measured = (
        f"{names[0]} {a.mean():.3g}, {names[1]} {b.mean():.3g}: {value:+.3g} [{low:+.3g},"
        f" {high:+.3g}]"
    )
    return Finding(measured, low > 0)


def batches(
    results: Results, dataset: str, split: str = "test", count: int | None = None
) -> Iterator[dict]:
    """The clips of a split on the CPU, 100 at a time."""
    from vidrep.training.device import choose

    return results.split(dataset, split, count=count).batches(100, choose(0, "float32"))


@torch.no_grad()
def clip_scores(results: Results, system: str, dataset: str) -> dict[str, np.ndarray]:
    """Scores of a run on the test clips of its data set, (n,) each."""
    objective = results.load(dataset, system)
    found = [objective.score(batch) for batch in batches(results, dataset)]
    return {
        name: torch.cat([scores[name] for scores in found]).double().numpy() for name in found[0]
    }
