"""Scores of the frames that a run or a baseline generates: means over clips at each horizon."""

from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidrep.generation.baselines import (
    BASELINES,
    OF_LAST_INPUT,
    TRUTH,
    baseline_frames,
    mean_training_frame,
)
from vidrep.generation.generate import generate_frames, split_parts
from vidrep.generation.metrics import frame_scores, nats_per_frame
from vidrep.generation.verdict import RIVALS
from vidrep.training.device import Device
from vidrep.training.split import Split, load_split

COLUMNS = ("split", "part", "observed", "horizon", "metric", "value", "clips_seen")
BATCH = 50


class Means:
    """Running means of frame scores over clips."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], Tensor] = {}

    def add(self, part: str, scores: dict[str, Tensor]) -> None:
        """Add the scores (B, k) of a batch, by metric."""
        for metric, values in scores.items():
            self.sums[part, metric] = (
                self.sums.get((part, metric), 0) + values.double().sum(0).cpu()
            )

    def rows(self, clips: int, observed: int, clips_seen: int | None) -> list[tuple]:
        """Rows of ``COLUMNS``. Horizons of a prediction count from 1; of a reconstruction it is the
        frame's number, from 0.
        """
        return [
            ("test", part, observed, i + (part == "prediction"), metric, value, clips_seen)
            for (part, metric), total in self.sums.items()
            for i, value in enumerate((total / clips).tolist())
        ]


@torch.no_grad()
def score_run(
    objective, split: Split, mean_frame: Tensor, device: Device, clips_seen: int
) -> tuple[list[tuple], dict[str, np.ndarray]]:
    """Generate frames for all clips of a split, batch by batch, and score them.

    Args:
        objective: the run.
        split: the clips.
        mean_frame: (C, 1, H, W), see ``mean_training_frame``.
        device: where to compute, in float32.
        clips_seen: training clips times epochs.

    Returns:
        Rows of ``COLUMNS``, and the squared errors per frame of each clip's prediction, means over
        all horizons, (n,) float64: under ``prediction`` the run's, under each of ``RIVALS`` the
        baseline's. No errors if it predicts nothing.

    Raises:
        ValueError: see ``vidrep.generation.generate.generate_frames``.
    """
    objective.eval()
    mean_frame = mean_frame.to(device.device)
    means = Means()
    errors = {}
    for batch in split.batches(BATCH, device):
        generated = generate_frames(objective, batch)
        parts = split_parts(batch["clip"], objective.observed)
        for part, truth in parts.items():
            if part in generated and truth.shape[2]:
                means.add(part, frame_scores(generated[part], truth))
        seen, future = parts.values()
        if "prediction" in generated and future.shape[2]:
            rivals = {name: baseline_frames(name, seen, future, mean_frame) for name in RIVALS}
            for name, frames in {"prediction": generated["prediction"], **rivals}.items():
                clip_errors = (frames - future).double().square().sum((1, 3, 4)).mean(1)
                errors.setdefault(name, []).append(clip_errors.cpu().numpy())
    return means.rows(len(split), objective.observed, clips_seen), {
        name: np.concatenate(found) for name, found in errors.items()
    }


def score_baselines(
    train_file: Path, test_file: Path, observed: list[int], device: Device
) -> dict[str, list[tuple]]:
    """Rows of ``COLUMNS`` of every baseline on one data set, for each number of ``observed``
    frames.

    What is made of the last input stands for predictions only. Of the truth only the cross-entropy
    is told: all else is perfect.
    """
    split = load_split(test_file)
    mean_frame = mean_training_frame(train_file).to(device.device)
    rows = {name: [] for name in BASELINES}
    for cut in observed:
        means = {name: Means() for name in BASELINES}
        for batch in split.batches(BATCH, device):
            parts = split_parts(batch["clip"], cut)
            for name, part in product(BASELINES, parts):
                if parts[part].shape[2] and not (
                    part == "reconstruction" and name in OF_LAST_INPUT
                ):
                    means[name].add(
                        part,
                        _baseline_scores(name, parts["reconstruction"], parts[part], mean_frame),
                    )
        for name in BASELINES:
            rows[name] += means[name].rows(len(split), cut, None)
    return rows


def _baseline_scores(
    name: str, seen: Tensor, truth: Tensor, mean_frame: Tensor
) -> dict[str, Tensor]:
    """Frame scores (B, k) of a baseline in the place of ``truth``; arguments as in
    ``baseline_frames``.
    """
    if name == TRUTH:
        return {"nats_per_frame": nats_per_frame(truth, truth)}
    return frame_scores(baseline_frames(name, seen, truth, mean_frame), truth)
