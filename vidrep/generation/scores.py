"""Scores of the frames that a run or a baseline generates: means over clips at each horizon."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidrep.frame_errors import nats_per_frame
from vidrep.generation.baselines import (
    BASELINES,
    LEARNT_NOTHING,
    OF_LAST_INPUT,
    TRUTH,
    baseline_frames,
    mean_training_clip,
)
from vidrep.generation.generate import generate_frames, split_parts
from vidrep.generation.metrics import frame_scores
from vidrep.generation.re_paired import RePaired
from vidrep.generation.verdict import RE_PAIRED
from vidrep.splits import SplitFiles
from vidrep.training.device import Device
from vidrep.training.split import Split, load_split

SCORE_COLUMNS = ("split", "part", "observed", "horizon", "metric", "value", "clips_seen")
BATCH = 50  # clips scored together


class Means:
    """Running means of frame scores over clips."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], Tensor] = {}

    def add(self, part: str, scores: dict[str, Tensor]) -> None:
        """Add the scores of a batch: from a metric to (B, k)."""
        for metric, values in scores.items():
            total = values.double().sum(0).cpu()
            self.sums[part, metric] = self.sums.get((part, metric), 0) + total

    def rows(self, clips: int, observed: int, clips_seen: int | None) -> list[tuple]:
        """Rows of ``SCORE_COLUMNS``.

        Horizons of a prediction count from 1; that of a reconstruction is the frame's number,
        from 0.
        """
        rows = []
        for (part, metric), total in self.sums.items():
            first = 1 if part == "prediction" else 0
            means = (total / clips).tolist()
            for horizon, value in enumerate(means, start=first):
                rows.append(("test", part, observed, horizon, metric, value, clips_seen))
        return rows


@torch.no_grad()
def score_run(
    objective,
    split: Split,
    mean_clip: Tensor,
    device: Device,
    clips_seen: int,
) -> tuple[list[tuple], dict[str, np.ndarray]]:
    """Generate frames for all clips of a split, batch by batch, and score them.

    Args:
        objective: the run.
        split: the clips.
        mean_clip: (C, T, H, W), see ``mean_training_clip``.
        device: where to compute, in float32.
        clips_seen: training clips times epochs.

    Returns:
        Rows of ``SCORE_COLUMNS``, and the squared errors per frame of each clip's prediction, means
        over all horizons, (n,) float64: under ``prediction`` those of the run, under each of
        ``RIVALS`` those of the rival. No errors if it predicts nothing.

    Raises:
        ValueError: see ``vidrep.generation.generate.generate_frames``.
    """
    objective.eval()
    mean_clip = mean_clip.to(device.device)
    mean_frame = mean_clip.mean(1, keepdim=True)
    mean_futures = mean_clip[:, objective.observed :]
    means = Means()
    re_paired = RePaired()
    errors = {"prediction": [], **{name: [] for name in LEARNT_NOTHING}}
    for batch in split.batches(BATCH, device):
        generated = generate_frames(objective, batch)
        parts = split_parts(batch["clip"], objective.observed)
        for part, truth in parts.items():
            if part in generated and truth.shape[2]:
                means.add(part, frame_scores(generated[part], truth))
        seen = parts["reconstruction"]
        future = parts["prediction"]
        if "prediction" in generated and future.shape[2]:
            errors["prediction"].append(_clip_errors(generated["prediction"], future))
            re_paired.add(generated["prediction"], future)
            for name in LEARNT_NOTHING:
                frames = baseline_frames(name, seen, future, mean_frame, mean_futures)
                errors[name].append(_clip_errors(frames, future))
    rows = means.rows(len(split), objective.observed, clips_seen)
    if not errors["prediction"]:
        return rows, {}
    by_clip = {name: np.concatenate(found) for name, found in errors.items()}
    by_clip[RE_PAIRED] = re_paired.errors(_futures(split, objective.observed, device))
    return rows, by_clip


def _futures(split: Split, observed: int, device: Device) -> Iterator[Tensor]:
    """The true frames after the first ``observed``, batch by batch: (B, C, k, H, W)."""
    for batch in split.batches(BATCH, device):
        yield split_parts(batch["clip"], observed)["prediction"]


def _clip_errors(frames: Tensor, truth: Tensor) -> np.ndarray:
    """Squared error per frame, mean over frames: (B, C, k, H, W) twice -> (B,) float64."""
    squares = (frames - truth).double().square()
    return squares.sum((1, 3, 4)).mean(1).cpu().numpy()


def score_baselines(
    train_file: Path,
    test_file: Path,
    observed: list[int],
    device: Device,
) -> dict[str, list[tuple]]:
    """Score every baseline on one data set.

    What is made of the last input is scored as a prediction only. Of the truth only the
    cross-entropy is told: all else is perfect.

    Args:
        train_file: the training clips (.h5), of which the mean frames are taken.
        test_file: the test clips (.h5).
        observed: numbers of frames seen; each gives its own rows.
        device: where to compute, in float32.

    Returns:
        Rows of ``SCORE_COLUMNS`` for each of ``BASELINES``.
    """
    split = load_split(SplitFiles(test_file))
    mean_clip = mean_training_clip(train_file).to(device.device)
    mean_frame = mean_clip.mean(1, keepdim=True)
    rows = {name: [] for name in BASELINES}
    for cut in observed:
        means = {name: Means() for name in BASELINES}
        mean_parts = {"reconstruction": mean_clip[:, :cut], "prediction": mean_clip[:, cut:]}
        for batch in split.batches(BATCH, device):
            parts = split_parts(batch["clip"], cut)
            seen = parts["reconstruction"]
            for name, (part, truth) in product(BASELINES, parts.items()):
                only_predicts = name in OF_LAST_INPUT
                if part == "reconstruction" and only_predicts:
                    continue
                if truth.shape[2]:
                    found = _baseline_scores(name, seen, truth, mean_frame, mean_parts[part])
                    means[name].add(part, found)
        for name in BASELINES:
            rows[name] += means[name].rows(len(split), cut, None)
    return rows


def _baseline_scores(
    name: str,
    seen: Tensor,
    truth: Tensor,
    mean_frame: Tensor,
    mean_frames: Tensor,
) -> dict[str, Tensor]:
    """Frame scores (B, k) of a baseline; arguments as in ``baseline_frames``."""
    if name == TRUTH:
        return {"nats_per_frame": nats_per_frame(truth, truth)}
    frames = baseline_frames(name, seen, truth, mean_frame, mean_frames)
    return frame_scores(frames, truth)
