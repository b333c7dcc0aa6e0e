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
from torch import Tensor

BLUR_PX = 1.0  # standard deviation
BLOCK = 500  # clips read together
# the true frames themselves, whose cross-entropy is the floor that grey values leave
TRUTH = "truth"


def _black(seen: Tensor, mean_frame: Tensor, mean_frames: Tensor) -> Tensor:
    return torch.zeros_like(mean_frame)


def _mean_frame(seen: Tensor, mean_frame: Tensor, mean_frames: Tensor) -> Tensor:
    return mean_frame


def _mean_per_horizon(seen: Tensor, mean_frame: Tensor, mean_frames: Tensor) -> Tensor:
    return mean_frames


def _repeat_last(seen: Tensor, mean_frame: Tensor, mean_frames: Tensor) -> Tensor:
    return seen[:, :, -1:]


def _half_last(seen: Tensor, mean_frame: Tensor, mean_frames: Tensor) -> Tensor:
    return (seen[:, :, -1:] + mean_frame) / 2


def _mean_of_inputs(seen: Tensor, mean_frame: Tensor, mean_frames: Tensor) -> Tensor:
    return seen.mean(2, keepdim=True)


# What each predicts, (B, C, k, H, W), from the frames seen, (B, C, observed, H, W), the mean
# training frame, (C, 1, H, W), and the mean training frames of the same times, (C, k, H, W). Axes
# may have size 1 or be left out where the prediction does not depend on them.
LEARNT_NOTHING = {
    "black": _black,
    "mean_frame": _mean_frame,
    "mean_per_horizon": _mean_per_horizon,
    "repeat_last": _repeat_last,
    "half_last": _half_last,
    "mean_of_inputs": _mean_of_inputs,
}
OF_LAST_INPUT = ("repeat_last", "half_last")
BASELINES = (*LEARNT_NOTHING, "blurred_truth", TRUTH)


def baseline_frames(
    name: str,
    seen: Tensor,
    truth: Tensor,
    mean_frame: Tensor,
    mean_frames: Tensor | None = None,
) -> Tensor:
    """What a baseline puts in the place of true frames.

    Args:
        name: one of ``BASELINES`` but ``TRUTH``.
        seen: (B, C, observed, H, W), the frames that a run would see.
        truth: (B, C, k, H, W), those to be predicted.
        mean_frame: (C, 1, H, W), see ``mean_training_frame``.
        mean_frames: (C, k, H, W), those of ``mean_training_clip`` at the times of ``truth``; only
            ``mean_per_horizon`` needs them.

    Returns:
        (B, C, k, H, W) in [0, 1].
    """
    if name == "blurred_truth":
        from scipy.ndimage import gaussian_filter

        blurred = gaussian_filter(truth.cpu().numpy(), (0, 0, 0, BLUR_PX, BLUR_PX))
        return torch.from_numpy(blurred).to(truth.device)
    frame = LEARNT_NOTHING[name](seen, mean_frame, mean_frames)
    return frame.expand_as(truth)


def mean_training_frame(clips_file: str | Path) -> Tensor:
    """The mean of all frames of all clips of a file: (C, 1, H, W) float32 in [0, 1]."""
    return mean_training_clip(clips_file).mean(1, keepdim=True)


def mean_training_clip(clips_file: str | Path) -> Tensor:
    """The mean over the clips of a file of each of their frames: (C, T, H, W) float32 in [0, 1]."""
    with h5py.File(clips_file, "r") as file:
        clips = file["clips"]
        total = 0
        for first in range(0, len(clips), BLOCK):
            block = clips[first : first + BLOCK]
            total = total + block.sum(0, dtype=np.float64)
        count = len(clips)
    mean = total / (255 * count)  # (T, H, W) or (T, H, W, C)
    channels_last = mean if mean.ndim == 4 else mean[..., None]
    return torch.from_numpy(channels_last).float().permute(3, 0, 1, 2)
