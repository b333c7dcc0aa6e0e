"""Predictors that have learnt nothing, and the truth blurred: what the scores of a run are
read against.

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
LEARNT_NOTHING = {
    "black": lambda seen, truth, mean: torch.zeros_like(truth),
    "mean_frame": lambda seen, truth, mean: mean.expand_as(truth),
    "repeat_last": lambda seen, truth, mean: seen[:, :, -1:].expand_as(truth),
    "half_last": lambda seen, truth, mean: ((seen[:, :, -1:] + mean) / 2).expand_as(truth),
    "mean_of_inputs": lambda seen, truth, mean: seen.mean(2, keepdim=True).expand_as(truth),
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
    return LEARNT_NOTHING[name](seen, truth, mean_frame)


def mean_training_frame(clips_file: str | Path) -> Tensor:
    """The mean of all frames of all clips of a file: (C, 1, H, W) float32 in [0, 1]."""
    with h5py.File(clips_file, "r") as file:
        clips = file["clips"]
        total = sum(
            clips[i : i + BLOCK].sum((0, 1), dtype=np.float64) for i in range(0, len(clips), BLOCK)
        )
        mean = total / (255 * clips.shape[0] * clips.shape[1])
    channels_last = mean if mean.ndim == 3 else mean[..., None]  # (H, W, C)
    return torch.from_numpy(channels_last).float().permute(2, 0, 1)[:, None]
