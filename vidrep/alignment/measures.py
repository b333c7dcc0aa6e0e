"""Measures of the embeddings of frames: order of nearest neighbours, phases, progression.

Embeddings are (n, T, D) float tensors or arrays, n videos of T frames each.
"""

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from torch import Tensor

from vidrep.kendall import kendall_tau, nearest_frames

BLOCK = 8  # videos matched to all others at once
Z = 1.959964  # two-sided 95 %


def matched_frames(videos: Tensor) -> Tensor:
    """For each ordered pair of videos the frames of the second that are nearest to those of the
    first: (n, n, T) int.
    """
    return torch.cat([nearest_frames(some[:, None], videos[None]) for some in videos.split(BLOCK)])


def pair_measures(matched: Tensor, progress: Tensor) -> dict[str, np.ndarray]:
    """What all ordered pairs of videos say.

    Args:
        matched: (n, n, T), see ``matched_frames``.
        progress: (n, T) float, true script time in [0, 1].

    Returns:
        (n, n) arrays: ``kendall_tau`` of the matched frames' numbers in [-1, 1], 0 where it is
        undefined; ``alignment_error``, the mean distance in script time between a frame and the one
        it is matched to.
    """
    there = progress[None].expand(len(progress), -1, -1).gather(2, matched)
    error = (there - progress[:, None]).abs().mean(-1)
    return {"kendall_tau": kendall_tau(matched).numpy(), "alignment_error": error.numpy()}


def flat(values: np.ndarray) -> np.ndarray:
    """Frames of all videos one after another: (n, T, ...) -> (n*T, ...)."""
    return values.reshape(-1, *values.shape[2:])


def principal_components(
    fit: np.ndarray, test: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of embeddings on the first ``count`` principal components of ``fit``'s frames;
    unchanged where D is no larger.
    """
    if count >= min(flat(fit).shape):
        return fit, test
    pca = PCA(count, svd_solver="covariance_eigh").fit(flat(fit))
    return tuple(pca.transform(flat(some)).reshape(*some.shape[:2], count) for some in (fit, test))


def phase_accuracy(
    fit: np.ndarray, fit_phase: np.ndarray, test: np.ndarray, test_phase: np.ndarray
) -> np.ndarray:
    """Share of each test video's frames whose phase a support-vector machine tells (RBF kernel,
    scikit-learn's defaults).

    Args:
        fit, test: embeddings.
        fit_phase, test_phase: (n, T) int.

    Returns:
        (n of test,).
    """
    predicted = SVC().fit(flat(fit), flat(fit_phase)).predict(flat(test))
    return (predicted.reshape(test_phase.shape) == test_phase).mean(1)


def linear_accuracy(
    fit: np.ndarray, fit_target: np.ndarray, test: np.ndarray, test_target: np.ndarray
) -> np.ndarray:
    """``phase_accuracy`` of linear support-vector machines on standardised embeddings, for any
    target (n, T) int.
    """
    probe = make_pipeline(StandardScaler(), LinearSVC(dual=False)).fit(flat(fit), flat(fit_target))
    return (probe.predict(flat(test)).reshape(test_target.shape) == test_target).mean(1)


def distance_to_events(events: np.ndarray, frames: int) -> np.ndarray:
    """Progress of each frame towards each event as a share of the video, negative before it: (n, E)
    int -> (n, T, E).
    """
    return (np.arange(frames)[:, None] - events[:, None].astype(float)) / frames


def progression_parts(
    fit: np.ndarray, fit_events: np.ndarray, test: np.ndarray, test_events: np.ndarray
) -> np.ndarray:
    """Squared sums behind R2 of linear regressions of ``distance_to_events``, video by video.

    Returns:
        (2, n of test, E): residual and total; R2 of an event is 1 - sum of the first / sum of the
        second over videos.
    """
    target = distance_to_events(fit_events, fit.shape[1])
    truth = distance_to_events(test_events, test.shape[1])
    line = LinearRegression().fit(flat(fit).astype(float), flat(target))
    predicted = line.predict(flat(test).astype(float)).reshape(truth.shape)
    residual = (truth - predicted) ** 2
    total = (truth - truth.mean((0, 1))) ** 2
    return np.stack([residual.sum(1), total.sum(1)])


def mean_r2(parts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """R2 averaged over events: parts (2, n, E) and weights of the videos (..., n) -> (...)."""
    residual, total = (weights @ part for part in parts)
    return (1 - residual / total).mean(-1)


def mean_of_pairs(matrix: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean over ordered pairs of different videos: (n, n) and weights of the videos (..., n) ->
    (...).
    """
    different = matrix * (1 - np.eye(len(matrix)))
    return ((weights @ different) * weights).sum(-1) / (weights.sum(-1) ** 2 - (weights**2).sum(-1))


def resampled(count: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of ``count`` videos is in each bootstrap sample: (draws, count)."""
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(float)


def with_interval(statistic, weights: np.ndarray) -> tuple[float, float, float]:
    """A statistic of weighted videos with its 95 % bootstrap interval: value, low, high.

    Args:
        statistic: from weights (..., n) to (...).
        weights: (draws, n), see ``resampled``.
    """
    low, high = np.quantile(statistic(weights), (0.025, 0.975))
    return float(statistic(np.ones(weights.shape[1]))), float(low), float(high)


def mean_with_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of independent repetitions with its normal 95 % interval: value, low, high."""
    half = Z * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)
