"""The alignment protocol for one run or one baseline."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from vidrep.alignment import measures
from vidrep.datasets.store import open_clips
from vidrep.files import whole
from vidrep.random_streams import stream
from vidrep.training.device import Device
from vidrep.training.split import Split

COLUMNS = ("metric", "labelled_videos", "value", "ci_low", "ci_high")
SHARES = (0.1, 0.5, 1.0)  # of the training videos, whose phases are known
REPEATS = 5  # random subsets of the smaller shares
DRAWS = 500  # bootstrap samples of the test videos
BATCH = 50
CHANCE_WIDTH = 16
# that wider embeddings are projected on before labels are used: an SVM on raw pixels takes minutes
COMPONENTS = 64
QUERIES = 3  # videos shown: queries, and those that each is matched to
OTHERS = 3


@dataclass(frozen=True)
class Videos:
    """Videos of one split and what is known of them.

    Attributes:
        clips: (n, T, H, W) or (n, T, H, W, C) uint8.
        phase: (n, T) int.
        progress: (n, T) float32, script time.
        events: (n, E) int, first frame at or after each event.
        digit: (n,) int.
    """

    clips: np.ndarray
    phase: np.ndarray
    progress: np.ndarray
    events: np.ndarray
    digit: np.ndarray

    def each_frame(self, name: str) -> np.ndarray:
        """``phase`` or ``digit`` of every frame, (n, T) int."""
        values = getattr(self, name)
        return np.broadcast_to(values.reshape(len(values), -1), self.phase.shape)


@dataclass(frozen=True)
class Protocol:
    """Numbers of labelled videos of the few-shot evaluation, random choices of each, and the seed
    of all random choices.
    """

    few_shot: tuple[int, ...]
    episodes: int
    seed: int

    def rng(self, *purpose: str | int) -> np.random.Generator:
        """A stream of its own for each purpose, the same for all runs."""
        return stream(self.seed, "alignment", *purpose)


def read_videos(path: str | Path, count: int) -> Videos:
    """The first ``count`` videos of a split.

    Raises:
        ValueError: a data set whose videos follow no common script.
    """
    with open_clips(path) as file:
        if missing := [
            name for name in ("phase", "progress", "events") if name not in file.factors
        ]:
            raise ValueError(
                f"{path}: no factor {', '.join(missing)}; only sequences, which follow one script,"
                " can be aligned"
            )
        known = {name: file.factors[name][:count] for name in ("phase", "progress", "events")}
        return Videos(file.clips[:count], **known, digit=file.factors["digit"][:count, 0])


@torch.no_grad()
def embed_frames(objective, split: Split, device: Device) -> Tensor | None:
    """Embeddings of all frames, (n, T, D) float32 on the CPU; None for a run without one embedding
    a frame.
    """
    objective.eval()
    embedded = [objective.embed(batch) for batch in split.batches(BATCH, device)]
    frames = split.shape.clip[1]
    if not all(
        isinstance(some, Tensor) and some.ndim == 3 and some.shape[1] == frames for some in embedded
    ):
        return None
    return torch.cat(embedded).float().cpu()


BASELINES = {
    "frame_index": lambda videos, rng: np.tile(
        np.linspace(0, 1, videos.phase.shape[1])[:, None], (len(videos.phase), 1, 1)
    ),
    "raw_pixels": lambda videos, rng: videos.clips.reshape(*videos.phase.shape, -1) / 255,
    "chance": lambda videos, rng: rng.normal(size=(*videos.phase.shape, CHANCE_WIDTH)),
}


def baseline(name: str, videos: Videos, rng: np.random.Generator) -> Tensor:
    """What stands in for embeddings, (n, T, D): the number of a frame, its pixels, or random
    numbers.

    Raises:
        ValueError: unknown name.
    """
    if name not in BASELINES:
        raise ValueError(f"unknown baseline {name!r}: give one of {', '.join(BASELINES)}")
    return torch.from_numpy(BASELINES[name](videos, rng).astype(np.float32))


def score_rows(
    fit: Tensor, fit_videos: Videos, test: Tensor, test_videos: Videos, protocol: Protocol
) -> list[tuple]:
    """All measures as rows of ``COLUMNS``.

    ``kendall_tau`` and ``alignment_error`` need no labels; ``phase_accuracy`` is given for each of
    ``SHARES`` of the training videos, averaged over random subsets; ``progression_r2``,
    ``phase_linear`` and ``digit_linear`` use all of them. Their intervals are over test videos;
    that of ``few_shot_accuracy`` is over episodes.

    Args:
        fit, test: embeddings (n, T, D).
        fit_videos, test_videos: the videos embedded.
        protocol: see ``Protocol``.
    """
    weights = measures.resampled(len(test), DRAWS, protocol.rng("bootstrap"))
    pairs = measures.pair_measures(
        measures.matched_frames(test), torch.from_numpy(test_videos.progress)
    )
    statistics = {
        (name, None): partial(measures.mean_of_pairs, matrix) for name, matrix in pairs.items()
    }
    x, y = measures.principal_components(fit.numpy(), test.numpy(), COMPONENTS)
    parts = measures.progression_parts(x, fit_videos.events, y, test_videos.events)
    statistics["progression_r2", len(x)] = partial(measures.mean_r2, parts)
    for share in SHARES:
        count = max(1, round(share * len(x)))
        chosen = _subsets(len(x), count, REPEATS if share < 1 else 1, protocol.rng("share", count))
        by_video = np.mean(
            [
                measures.phase_accuracy(x[i], fit_videos.phase[i], y, test_videos.phase)
                for i in chosen
            ],
            axis=0,
        )
        statistics["phase_accuracy", count] = partial(_mean, by_video)
    for name in ("phase", "digit"):
        known, truth = (videos.each_frame(name) for videos in (fit_videos, test_videos))
        statistics[f"{name}_linear", len(x)] = partial(
            _mean, measures.linear_accuracy(x, known, y, truth)
        )
    rows = [
        (*key, *measures.with_interval(statistic, weights)) for key, statistic in statistics.items()
    ]
    return rows + few_shot_rows(x, fit_videos.phase, y, test_videos.phase, protocol)


def few_shot_rows(
    fit: np.ndarray, phase: np.ndarray, test: np.ndarray, truth: np.ndarray, protocol: Protocol
) -> list[tuple]:
    """Phase accuracy with few labelled videos, averaged over random choices of them."""
    rows = []
    for count in protocol.few_shot:
        chosen = _subsets(len(fit), count, protocol.episodes, protocol.rng("few_shot", count))
        accuracy = np.array(
            [measures.phase_accuracy(fit[i], phase[i], test, truth).mean() for i in chosen]
        )
        rows.append(("few_shot_accuracy", count, *measures.mean_with_interval(accuracy)))
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
    others = min(OTHERS, len(test) - 1)
    # (q, 1 + o)
    number = np.arange(min(QUERIES, len(test) // (1 + others)) * (1 + others)).reshape(
        -1, 1 + others
    )
    shown = test[number]  # (q, 1 + o, T, D)
    frame = measures.nearest_frames(shown[:, :1], shown).numpy()  # (q, 1 + o, T)
    frame[:, 0] = np.arange(frame.shape[-1])  # equal frames match the first of them
    with whole(path) as beside, h5py.File(beside, "w") as file:
        file["video"], file["digit"] = number, videos.digit[number]
        for name in ("clips", "phase", "progress"):
            file[name] = getattr(videos, name)[number[..., None], frame]


def _subsets(count: int, size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Random sets of ``size`` of ``count`` videos, without repetition: (draws, size)."""
    return rng.random((draws, count)).argsort(1)[:, :size]


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over videos: (n,) and (..., n) -> (...)."""
    return weights @ values / weights.sum(-1)
