"""Frames that a run draws, beside the true ones."""

from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from vidrep.files import whole
from vidrep.training.device import Device
from vidrep.training.split import Split


@torch.no_grad()
def write_generated(path: Path, objective, split: Split, device: Device) -> None:
    """Draw all clips of a (small) split and write one HDF5 file.

    Arrays, all uint8 with frames in the order of time, (n, t, H, W) or (n, t, H, W, 3): ``observed`` and ``future``, the true
    frames before and after the cut, and what the objective draws under its parts' names, ``reconstruction`` and ``prediction``.

    Raises:
        ValueError: the objective draws nothing.
    """
    if not hasattr(objective, "generate"):
        raise ValueError(f"objective {type(objective).__name__} draws no frames")
    objective.eval()
    drawn = objective.generate(split.batch(slice(None), device))
    clips = split.clips.cpu().numpy()
    with whole(path) as beside, h5py.File(beside, "w") as file:
        file["observed"], file["future"] = clips[:, : objective.observed], clips[:, objective.observed :]
        for name, frames in drawn.items():
            file[name] = _as_clips(frames)
        file.attrs["ids"] = split.ids


def _as_clips(frames: Tensor) -> np.ndarray:
    """(B, C, t, H, W) in [0, 1] -> uint8 clips as they lie on disk."""
    channels_last = frames.mul(255).round().to(torch.uint8).permute(0, 2, 3, 4, 1).cpu().numpy()
    return channels_last[..., 0] if channels_last.shape[-1] == 1 else channels_last
