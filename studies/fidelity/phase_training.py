"""Supervised trainings inside a claim: an embedder learns the phases of labelled videos."""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from vidrep.alignment.videos import Videos, read_videos

STEPS = 60  # of Adam
VIDEOS = 4  # a step
RATE = 2e-3
TEST_VIDEOS = 60


def phase_accuracy(objective, folder: Path, fit_videos: int, labelled: np.ndarray) -> float:
    """Phase accuracy on test videos of an embedder with a linear layer that learns from phases.

    Args:
        objective: of the embedder; its weights are trained.
        folder: of the data set, with train.h5 and test.h5.
        fit_videos: training videos whose phases may be used.
        labelled: numbers of those whose phases are used.
    """
    fit = read_videos(folder / "train.h5", fit_videos)
    test = read_videos(folder / "test.h5", TEST_VIDEOS)
    torch.manual_seed(0)
    head = train_on_phases(objective, fit, torch.from_numpy(labelled))
    with torch.no_grad():
        predicted = head(objective.embed({"clip": as_clips(test)})).argmax(-1)
    return float((predicted.numpy() == test.phase).mean())


def train_on_phases(objective, fit: Videos, labelled: torch.Tensor) -> torch.nn.Linear:
    """The linear layer; it and the embedder learn together."""
    clips = as_clips(fit)
    phase = torch.from_numpy(fit.phase.astype(np.int64))
    width = objective.embed({"clip": clips[:1]}).shape[-1]
    head = torch.nn.Linear(width, int(phase.max()) + 1)
    optimiser = torch.optim.Adam([*objective.model.parameters(), *head.parameters()], lr=RATE)
    objective.train()
    for _ in range(STEPS):
        some = labelled[torch.randperm(len(labelled))[:VIDEOS]]
        logits = head(objective.embed({"clip": clips[some]}))  # (B, T, phases)
        loss = F.cross_entropy(logits.flatten(0, 1), phase[some].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    objective.eval()
    return head


def as_clips(videos: Videos) -> torch.Tensor:
    """Videos (n, T, H, W) uint8 as clips (n, 1, T, H, W) in [0, 1]."""
    return torch.from_numpy(videos.clips).float().div(255)[:, None]
