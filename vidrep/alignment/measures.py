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

from vidrep.objectives.cycle_losses import nearest_frames
from vidrep.statistics import kendall_tau, percentile_interval

BLOCK = 8  # videos matched to all others at once


def matched_frames(videos: Tensor) -> Tensor:
    """Nearest frames in every other video.

    Args:
        videos: (n, T, D) embeddings.

    Returns:
        (n, n, T) int: [i, j, t] is the frame of video j that is nearest to frame t of video i.
    """
    blocks = []
    for block in videos.split(BLOCK):
        blocks.append(nearest_frames(block[:, None], videos[None]))
    return torch.cat(blocks)


def pair_measures(matched: Tensor, progress: Tensor) -> dict[str, np.ndarray]:
    """Order and error of the matched frames of all ordered pairs of videos.

    Args:
        matched: (n, n, T) int, see ``matched_frames``.
        progress: (n, T) float, true script time in [0, 1].

    Returns:
        (n, n) arrays: ``kendall_tau`` of the matched frames' numbers in [-1, 1], 0 where it is
        undefined; ``alignment_error``, the mean distance in script time between a frame and the one
        it is matched to.
    """
    n = len(progress)
    progress_of_others = progress[None].expand(n, -1, -1)  # (n, n, T)
    progress_of_matches = progress_of_others.gather(2, matched)
    distances = (progress_of_matches - progress[:, None]).abs()
    return {
        "kendall_tau": kendall_tau(matched).numpy(),
        "alignment_error": distances.mean(-1).numpy(),
    }


def flat(values: np.ndarray) -> np.ndarray:
    """Frames of all videos one after another: (n, T, ...) -> (n*T, ...)."""
    return values.reshape(-1, *values.shape[2:])


def principal_components(
    fit: np.ndarray, test: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of embeddings on the first principal components of ``fit``'s frames.

    Args:
        fit, test: (n, T, D) embeddings.
        count: how many components.

    Returns:
        (n, T, count) each; unchanged where D, or the number of frames, is no larger than ``count``.
    """
    frames = flat(fit)
    if count >= min(frames.shape):
        return fit, test
    pca = PCA(count, svd_solver="covariance_eigh").fit(frames)
    projected_fit = pca.transform(frames).reshape(*fit.shape[:2], count)
    projected_test = pca.transform(flat(test)).reshape(*test.shape[:2], count)
    return projected_fit, projected_test


def phase_accuracy(
    fit: np.ndarray,
    fit_phase: np.ndarray,
    test: np.ndarray,
    test_phase: np.ndarray,
) -> np.ndarray:
    """Share of each test video's frames whose phase a support-vector machine tells.

    The machine has an RBF kernel and scikit-learn's defaults.

    Args:
        fit, test: (n, T, D) embeddings of the training and of the test videos.
        fit_phase, test_phase: (n, T) int.

    Returns:
        (n of test,) in [0, 1].
    """
    classifier = SVC().fit(flat(fit), flat(fit_phase))
    predicted = classifier.predict(flat(test))
    return _share_right(predicted, test_phase)


def linear_accuracy(
    fit: np.ndarray,
    fit_target: np.ndarray,
    test: np.ndarray,
    test_target: np.ndarray,
) -> np.ndarray:
    """Share of each test video's frames whose target linear support-vector machines tell.

    Embeddings are standardised first.

    Args:
        fit, test: (n, T, D) embeddings of the training and of the test videos.
        fit_target, test_target: (n, T) int.

    Returns:
        (n of test,) in [0, 1].
    """
    probe = make_pipeline(StandardScaler(), LinearSVC(dual=False))
    probe.fit(flat(fit), flat(fit_target))
    predicted = probe.predict(flat(test))
    return _share_right(predicted, test_target)


def _share_right(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Share of right frames of each video: predictions (n*T,) and truth (n, T) -> (n,)."""
    return (predicted.reshape(truth.shape) == truth).mean(1)


def distance_to_events(events: np.ndarray, frames: int) -> np.ndarray:
    """Time since each event at each frame as a share of the video, negative before the event.

    Args:
        events: (n, E) int, first frame at or after each event.
        frames: T.

    Returns:
        (n, T, E) float64.
    """
    frame = np.arange(frames)[:, None]  # (T, 1)
    event = events[:, None].astype(float)  # (n, 1, E)
    return (frame - event) / frames


def progression_parts(
    fit: np.ndarray,
    fit_events: np.ndarray,
    test: np.ndarray,
    test_events: np.ndarray,
) -> np.ndarray:
    """Squared sums behind R2 of linear regressions of ``distance_to_events``, video by video.

    Args:
        fit, test: (n, T, D) embeddings of the training and of the test videos.
        fit_events, test_events: (n, E) int.

    Returns:
        (2, n of test, E): residual and total; R2 of an event is 1 - sum of the first / sum of the
        second over videos.
    """
    target = distance_to_events(fit_events, fit.shape[1])
    truth = distance_to_events(test_events, test.shape[1])
    line = LinearRegression().fit(flat(fit).astype(float), flat(target))
    predicted = line.predict(flat(test).astype(float)).reshape(truth.shape)
    residual = ((truth - predicted) ** 2).sum(1)
    total = ((truth - truth.mean((0, 1))) ** 2).sum(1)
    return np.stack([residual, total])


def mean_r2(parts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """R2 averaged over events: parts (2, n, E) and weights of the videos (..., n) -> (...)."""
    residual = weights @ parts[0]
    total = weights @ parts[1]
    r2_of_events = 1 - residual / total
    return r2_of_events.mean(-1)


def mean_of_pairs(matrix: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over ordered pairs of different videos.

    Args:
        matrix: (n, n), a value of each pair; the diagonal is left out.
        weights: (..., n), of the videos; a pair weighs the product of both.

    Returns:
        (...).
    """
    different = matrix * (1 - np.eye(len(matrix)))
    total = ((weights @ different) * weights).sum(-1)
    weight_of_pairs = weights.sum(-1) ** 2 - (weights**2).sum(-1)
    return total / weight_of_pairs


def with_interval(statistic, weights: np.ndarray) -> tuple[float, float, float]:
    """A statistic of weighted videos with its 95 % bootstrap interval: value, low, high.

    Args:
        statistic: from weights (..., n) to (...).
        weights: (draws, n), how often each video is in each bootstrap sample.
    """
    low, high = percentile_interval(statistic(weights))
    every_video_once = np.ones(weights.shape[1])
    value = statistic(every_video_once)
    return float(value), float(low), float(high)
