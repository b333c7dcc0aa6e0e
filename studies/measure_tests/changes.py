"""Changed versions of a layer, and what a probe then loses.

They are without leading or trailing principal components, or with noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidrep.random_streams import stream
from vidrep.runs import Run
from vidrep.similarity.kernel import Kernel, summarise

REMOVED = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)  # shares of all components
# standard deviation of the noise, in root mean square deviations of a feature
NOISE = (0.25, 0.5, 1.0, 2.0, 4.0)
PENALTY = 0.01  # of the probe, in units of the mean eigenvalue of the fitting clips


@dataclass(frozen=True)
class Series:
    """A layer and its changed versions.

    Attributes:
        system, seed, layer: whose it is.
        original: the layer, in the coordinates of its principal components.
        leading, trailing: without more and more of them.
        noisy: with more and more noise.
        losses: balanced accuracy that a linear probe loses without the components, (leading +
            trailing,).
    """

    system: str
    seed: int
    layer: str
    original: Kernel
    leading: list[Kernel]
    trailing: list[Kernel]
    noisy: list[Kernel]
    losses: np.ndarray


def change(
    fit: np.ndarray,
    test: np.ndarray,
    fit_labels: np.ndarray,
    test_labels: np.ndarray,
    *,
    run: Run,
    layer: str,
    seed: int,
) -> Series:
    """The changed versions of one layer.

    The components are those of the fitting clips, so that probe and measure lose the same
    directions.

    Args:
        fit, test: (m, d) and (n, d) activations of fitting and of test clips.
        fit_labels, test_labels: (m, classes) and (n, classes) bool.
        run, layer, seed: whose they are, and the experiment's seed, which name the stream of the
            noise.
    """
    fit, test = component_scores(fit, test)
    rank = fit.shape[1]
    counts = sorted({max(1, round(share * rank)) for share in REMOVED} - {rank})
    without_leading = [slice(count, None) for count in counts]
    without_trailing = [slice(None, rank - count) for count in counts]
    parts = [slice(None), *without_leading, *without_trailing]
    accuracy = probe_accuracies(fit, fit_labels, test, test_labels, parts)
    draw = stream(seed, "sanity", "noise", run.dataset, run.system, run.seed, layer)
    spread = np.sqrt(test.var(axis=0).mean())
    noisy = []
    for level in NOISE:
        noise = draw.standard_normal(test.shape)
        noisy.append(summarise(test + level * spread * noise))
    return Series(
        run.system,
        run.seed,
        layer,
        original=summarise(test),
        leading=[summarise(test[:, part]) for part in without_leading],
        trailing=[summarise(test[:, part]) for part in without_trailing],
        noisy=noisy,
        losses=accuracy[0] - accuracy[1:],
    )


def component_scores(fit: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of activations in the principal components of ``fit``, largest first.

    (m, d) and (n, d) -> (m, r) and (n, r).
    """
    mean = fit.mean(axis=0, dtype=np.float64)
    _, values, directions = np.linalg.svd(fit - mean, full_matrices=False)
    directions = directions[values > 1e-6 * values[0]]
    return (fit - mean) @ directions.T, (test - mean) @ directions.T


def probe_accuracies(
    fit: np.ndarray,
    fit_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    parts: list[slice],
) -> np.ndarray:
    """Balanced accuracy, mean over classes, of linear probes on parts of the components, (parts,).

    The probe is ridge regression on the labels, which decides halfway between the mean scores of
    the fitting clips with and without the class. Components are uncorrelated over the fitting
    clips, so the weights of one do not depend on the others.

    Args:
        fit, test: (m, r) and (n, r) component scores.
        fit_labels, test_labels: (m, classes) and (n, classes) bool; a class that all clips of a
            side share or lack is left out.
        parts: which components each probe sees.
    """
    used = _varies(fit_labels) & _varies(test_labels)
    fit_labels = fit_labels[:, used]
    test_labels = test_labels[:, used]
    squares = (fit**2).sum(axis=0)
    products = fit.T @ (fit_labels - fit_labels.mean(axis=0))
    weights = products / (squares + PENALTY * squares.mean())[:, None]
    accuracies = []
    for part in parts:
        scores = fit[:, part] @ weights[part]
        halfway = (_mean_of(scores, fit_labels) + _mean_of(scores, ~fit_labels)) / 2
        said = test[:, part] @ weights[part] > halfway
        found = _mean_of(said, test_labels)
        rejected = _mean_of(~said, ~test_labels)
        accuracies.append(np.mean(found + rejected) / 2)
    return np.array(accuracies)


def _varies(labels: np.ndarray) -> np.ndarray:
    """Which classes some clips have and others lack, (classes,)."""
    return labels.any(axis=0) & ~labels.all(axis=0)


def _mean_of(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Mean of each column of ``values`` over the rows that the same column of ``chosen`` picks."""
    return (values * chosen).sum(axis=0) / chosen.sum(axis=0)
