"""The alignment protocol for one run or one baseline."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from vidrep.alignment import measures
from vidrep.alignment.videos import Videos
from vidrep.files import whole
from vidrep.random_streams import stream
from vidrep.statistics import bootstrap_counts, normal_interval

ALIGNMENT_COLUMNS = ("metric", "labelled_videos", "value", "ci_low", "ci_high")
SHARES = (0.1, 0.5, 1.0)  # of the training videos, whose phases are known
REPEATS = 5  # random subsets of the smaller shares
DRAWS = 500  # bootstrap samples of the test videos
# Wider embeddings are projected on so many principal components before labels are used: a
# support-vector machine on raw pixels takes minutes.
COMPONENTS = 64
QUERIES = 3  # videos shown with the frames that match theirs
OTHERS = 3  # videos that each query is matched to

# from a metric and a number of labelled videos to a function of the weights of the test videos
Statistics = dict[tuple[str, int | None], Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Protocol:
    """How few-shot evaluation is done, and what all random choices follow from.

    Attributes:
        few_shot: numbers of labelled videos.
        episodes: random choices of so many videos.
        seed: of the experiment.
    """

    few_shot: tuple[int, ...]
    episodes: int
    seed: int

    def rng(self, *purpose: str | int) -> np.random.Generator:
        """A stream of its own for each purpose, the same for all runs."""
        return stream(self.seed, "alignment", *purpose)


def score_rows(
    fit: Tensor,
    fit_videos: Videos,
    test: Tensor,
    test_videos: Videos,
    protocol: Protocol,
) -> list[tuple]:
    """All measures as rows of ``ALIGNMENT_COLUMNS``.

    ``kendall_tau`` and ``alignment_error`` need no labels; ``phase_accuracy`` is given for each of
    ``SHARES`` of the training videos, averaged over random subsets; ``progression_r2``,
    ``phase_linear`` and ``digit_linear`` use all of them. Their intervals are over test videos;
    that of ``few_shot_accuracy`` is over episodes.

    Args:
        fit, test: embeddings (n, T, D).
        fit_videos, test_videos: the videos embedded.
        protocol: see ``Protocol``.
    """
    fit_features, test_features = measures.principal_components(
        fit.numpy(), test.numpy(), COMPONENTS
    )
    data = (fit_features, fit_videos, test_features, test_videos)
    statistics = {
        **_unlabelled_statistics(test, test_videos),
        **_progression_statistic(*data),
        **_phase_statistics(*data, protocol),
        **_linear_statistics(*data),
    }
    weights = bootstrap_counts(len(test), DRAWS, protocol.rng("bootstrap")).astype(float)
    rows = []
    for (metric, labelled_videos), statistic in statistics.items():
        value_and_interval = measures.with_interval(statistic, weights)
        rows.append((metric, labelled_videos, *value_and_interval))
    return rows + _few_shot_rows(*data, protocol)


def _unlabelled_statistics(test: Tensor, test_videos: Videos) -> Statistics:
    """Kendall's tau and the alignment error."""
    matched = measures.matched_frames(test)
    pairs = measures.pair_measures(matched, torch.from_numpy(test_videos.progress))
    return {(name, None): partial(measures.mean_of_pairs, matrix) for name, matrix in pairs.items()}


def _progression_statistic(
    fit: np.ndarray,
    fit_videos: Videos,
    test: np.ndarray,
    test_videos: Videos,
) -> Statistics:
    """R2 of the progress towards events."""
    parts = measures.progression_parts(fit, fit_videos.events, test, test_videos.events)
    return {("progression_r2", len(fit)): partial(measures.mean_r2, parts)}


def _phase_statistics(
    fit: np.ndarray,
    fit_videos: Videos,
    test: np.ndarray,
    test_videos: Videos,
    protocol: Protocol,
) -> Statistics:
    """Phase accuracy for each of ``SHARES`` of the training videos, averaged over subsets."""
    statistics = {}
    for share in SHARES:
        count = max(1, round(share * len(fit)))
        repeats = REPEATS if share < 1 else 1
        accuracies = []
        for subset in _subsets(len(fit), count, repeats, protocol.rng("share", count)):
            accuracies.append(
                measures.phase_accuracy(
                    fit[subset], fit_videos.phase[subset], test, test_videos.phase
                )
            )
        statistics["phase_accuracy", count] = partial(_mean, np.mean(accuracies, axis=0))
    return statistics


def _linear_statistics(
    fit: np.ndarray,
    fit_videos: Videos,
    test: np.ndarray,
    test_videos: Videos,
) -> Statistics:
    """Accuracies of linear machines for the phase and the digit of each frame."""
    statistics = {}
    for name in ("phase", "digit"):
        accuracy = measures.linear_accuracy(
            fit, fit_videos.each_frame(name), test, test_videos.each_frame(name)
        )
        statistics[f"{name}_linear", len(fit)] = partial(_mean, accuracy)
    return statistics


def _few_shot_rows(
    fit: np.ndarray,
    fit_videos: Videos,
    test: np.ndarray,
    test_videos: Videos,
    protocol: Protocol,
) -> list[tuple]:
    """Phase accuracy with few labelled videos, averaged over random choices of them."""
    rows = []
    for count in protocol.few_shot:
        rng = protocol.rng("few_shot", count)
        accuracies = []
        for subset in _subsets(len(fit), count, protocol.episodes, rng):
            accuracy = measures.phase_accuracy(
                fit[subset], fit_videos.phase[subset], test, test_videos.phase
            )
            accuracies.append(accuracy.mean())
        value_and_interval = normal_interval(np.array(accuracies))
        rows.append(("few_shot_accuracy", count, *value_and_interval))
    return rows


def write_matches(path: Path, test: Tensor | None, videos: Videos) -> None:
    """A few test videos and the frames of others that are nearest to theirs.

    Arrays: ``clips`` (q, 1 + o, T, H, W[, C]) uint8, each query and the matched frames of the
    others at the query's times; ``phase`` and ``progress`` (q, 1 + o, T) of the frames shown;
    ``digit`` (q, 1 + o); ``video``, their numbers. A run without embeddings of frames leaves an
    empty file.
    """
    if test is None:
        with whole(path) as beside:
            h5py.File(beside, "w").close()
        return
    row = 1 + min(OTHERS, len(test) - 1)  # a query and the others
    queries = min(QUERIES, len(test) // row)
    number = np.arange(queries * row).reshape(-1, row)  # (q, 1 + o)
    shown = test[number]  # (q, 1 + o, T, D)
    frame = measures.nearest_frames(shown[:, :1], shown).numpy()  # (q, 1 + o, T)
    # a query is shown in its own order: of equal frames the first would match
    frame[:, 0] = np.arange(frame.shape[-1])
    matched = (number[..., None], frame)
    with whole(path) as beside, h5py.File(beside, "w") as file:
        file["video"] = number
        file["digit"] = videos.digit[number]
        file["clips"] = videos.clips[matched]
        file["phase"] = videos.phase[matched]
        file["progress"] = videos.progress[matched]


def _subsets(count: int, size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Random sets of ``size`` of ``count`` videos, without repetition: (draws, size)."""
    return rng.random((draws, count)).argsort(1)[:, :size]


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over videos: (n,) and (..., n) -> (...)."""
    return weights @ values / weights.sum(-1)
