"""Predictors that have learnt nothing, and the truth blurred, to read the scores of a run against.

A run that does not beat them has not learnt to predict, whatever its frames look like: on clips
that are mostly black, an all-black prediction has a small squared error and a high structural
similarity; where frames change little, one that lies half-way between the last input and the mean
training frame is hard to beat.
"""

from pathlib import Path

import h5py
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

BLUR_PX = 1.0  # standard deviation
BLOCK = 500  # clips read together
# the true frames themselves, whose cross-entropy is the floor that grey values leave
TRUTH = "truth"


def _black(seen: Tensor, mean_frame: Tensor) -> Tensor:
    return torch.zeros_like(mean_frame)


def _mean_frame(seen: Tensor, mean_frame: Tensor) -> Tensor:
    return mean_frame


def _repeat_last(seen: Tensor, mean_frame: Tensor) -> Tensor:
    return seen[:, :, -1:]


def _half_last(seen: Tensor, mean_frame: Tensor) -> Tensor:
    return (seen[:, :, -1:] + mean_frame) / 2


def _mean_of_inputs(seen: Tensor, mean_frame: Tensor) -> Tensor:
    return seen.mean(2, keepdim=True)


# What each predicts for every frame, (B, C, 1, H, W) or (C, 1, H, W), from the frames seen,
# (B, C, observed, H, W), and the mean training frame, (C, 1, H, W).
LEARNT_NOTHING = {
    "black": _black,
    "mean_frame": _mean_frame,
    "repeat_last": _repeat_last,
    "half_last": _half_last,
    "mean_of_inputs": _mean_of_inputs,
}
OF_LAST_INPUT = ("repeat_last", "half_last")
BASELINES = (*LEARNT_NOTHING, "blurred_truth", TRUTH)


def baseline_frames(name: str, seen: Tensor, truth: Tensor, mean_frame: Tensor) -> Tensor:
    """What a baseline puts in the place of true frames.

    Args:
        name: one of ``BASELINES`` but ``TRUTH``.
        seen: (B, C, observed, H, W), the frames that a run would see.
        truth: (B, C, k, H, W), those to be predicted.
        mean_frame: (C, 1, H, W), see ``mean_training_frame``.

    Returns:
        (B, C, k, H, W) in [0, 1].
    """
    if name == "blurred_truth":
        blurred = gaussian_filter(truth.cpu().numpy(), (0, 0, 0, BLUR_PX, BLUR_PX))
        return torch.from_numpy(blurred).to(truth.device)
    frame = LEARNT_NOTHING[name](seen, mean_frame)
    return frame.expand_as(truth)


def mean_training_frame(clips_file: str | Path) -> Tensor:
    """The mean of all frames of all clips of a file: (C, 1, H, W) float32 in [0, 1]."""
    with h5py.File(clips_file, "r") as file:
        clips = file["clips"]
        total = 0
        for first in range(0, len(clips), BLOCK):
            block = clips[first : first + BLOCK]
            total = total + block.sum((0, 1), dtype=np.float64)
        frames = clips.shape[0] * clips.shape[1]
    mean = total / (255 * frames)  # (H, W) or (H, W, C)
    channels_last = mean if mean.ndim == 3 else mean[..., None]
    channels_first = torch.from_numpy(channels_last).float().permute(2, 0, 1)
    return channels_first[:, None]
