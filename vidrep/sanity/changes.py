"""Changed versions of a layer: without leading or trailing principal components, and with noise; and what a probe then loses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidrep.experiment import Run
from vidrep.probes.svm import Protocol, probe_layer
from vidrep.similarity.kernel import Kernel, summarise
from vidrep.streams import stream

REMOVED = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)  # shares of all components
NOISE = (0.25, 0.5, 1.0, 2.0, 4.0)  # standard deviation of the noise, in root mean square deviations of a feature
PROBE = Protocol(c=(0.1,), folds=2, components=None)


@dataclass(frozen=True)
class Series:
    """A layer and its changed versions.

    Attributes:
        system, seed, layer: whose it is.
        original: the layer, in the coordinates of its principal components.
        leading, trailing: without more and more of them.
        noisy: with more and more noise.
        losses: balanced accuracy that a linear probe loses without the components, (leading + trailing,).
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
    fit: np.ndarray, test: np.ndarray, fit_labels: np.ndarray, test_labels: np.ndarray, *, run: Run, layer: str, seed: int
) -> Series:
    """The changed versions of one layer.

    The components are those of the fitting clips, so that probe and measure lose the same directions.

    Args:
        fit, test: (m, d) and (n, d) activations of fitting and of test clips.
        fit_labels, test_labels: (m, classes) and (n, classes) bool.
        run, layer, seed: whose they are, and the experiment's seed, which name the stream of the noise.
    """
    fit, test = component_scores(fit, test)
    rank = fit.shape[1]
    counts = sorted({max(1, round(share * rank)) for share in REMOVED} - {rank})
    kept = [slice(count, None) for count in counts] + [slice(None, rank - count) for count in counts]
    accuracy = [probe_accuracy(fit[:, part], fit_labels, test[:, part], test_labels) for part in (slice(None), *kept)]
    kernels = [summarise(test[:, part]) for part in kept]
    draw = stream(seed, "sanity", "noise", run.dataset, run.system, run.seed, layer)
    spread = np.sqrt(test.var(axis=0).mean())
    noisy = [summarise(test + level * spread * draw.standard_normal(test.shape)) for level in NOISE]
    losses = accuracy[0] - np.array(accuracy[1:])
    return Series(run.system, run.seed, layer, summarise(test), kernels[: len(counts)], kernels[len(counts) :], noisy, losses)


def component_scores(fit: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of activations (m, d) and (n, d) in the principal components of ``fit``, largest first: (m, r) and (n, r)."""
    mean = fit.mean(axis=0, dtype=np.float64)
    _, values, directions = np.linalg.svd(fit - mean, full_matrices=False)
    directions = directions[values > 1e-6 * values[0]]
    return (fit - mean) @ directions.T, (test - mean) @ directions.T


def probe_accuracy(fit: np.ndarray, fit_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> float:
    """Balanced accuracy of a linear SVM a class, mean over classes."""
    return float(np.nanmean([result.balanced_accuracy for result in probe_layer(fit, fit_labels, test, test_labels, PROBE)]))
