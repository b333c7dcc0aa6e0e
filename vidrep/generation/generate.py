"""Frames that a run generates, checked, and a file of some of them beside the true ones."""

from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from vidrep.files import whole
from vidrep.training.device import Device
from vidrep.training.split import Split

PARTS = ("reconstruction", "prediction")
_SLACK = 1e-4  # how far beyond [0, 1] rounding may put a value


@torch.no_grad()
def generate_frames(objective, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The frames that an objective generates for a batch, checked.

    Args:
        objective: the run, in evaluation mode.
        batch: clips and what else its model asks for.

    Returns:
        What ``objective.generate`` gives, float32; frames are (B, C, k, H, W) in [0, 1].

    Raises:
        ValueError: it generates nothing, frames of another shape than the true ones, or values
            outside [0, 1].
    """
    name = type(objective).__name__
    if not hasattr(objective, "generate"):
        raise ValueError(f"objective {name} generates no frames")
    generated = {part: frames.float() for part, frames in objective.generate(batch).items()}
    for part, truth in split_parts(batch["clip"], objective.observed).items():
        if part in generated:
            _check(generated[part], truth, f"objective {name} generates {part}")
            generated[part] = generated[part].clamp(0, 1)
    return generated


def _check(frames: Tensor, truth: Tensor, what: str) -> None:
    """Do frames have the shape of the true ones, and values in [0, 1]?"""
    if frames.shape != truth.shape:
        raise ValueError(f"{what} of shape {tuple(frames.shape)}, not {tuple(truth.shape)}")
    if not frames.numel():
        return
    low, high = frames.aminmax()
    if low < -_SLACK or high > 1 + _SLACK:
        raise ValueError(
            f"{what} with values from {low:.3g} to {high:.3g}; they must lie in [0, 1]"
        )


def split_parts(clip: Tensor, observed: int) -> dict[str, Tensor]:
    """The true frames of each of ``PARTS``: (B, C, T, H, W) cut before frame ``observed``."""
    return {"reconstruction": clip[:, :, :observed], "prediction": clip[:, :, observed:]}


def write_generated(
    path: Path,
    objective,
    split: Split,
    device: Device,
    *,
    count: int | None = None,
    true_flow: np.ndarray | None = None,
) -> None:
    """Write the frames of the first ``count`` clips of a split (default: all) into one HDF5 file.

    Arrays of frames, uint8 in the order of time, (n, t, H, W) or (n, t, H, W, 3): ``observed`` and
    ``future``, the true frames before and after the cut, and what the objective generates of
    ``reconstruction``, ``prediction`` and ``masked``. If it generates flow there is ``flow``,
    float16 (n, k, 2, H, W) in pixels, the k fields that begin at the last observed frame; also
    ``true_flow`` of the same shape where ``true_flow`` (n, T-1, 2, H, W) is given.

    Raises:
        ValueError: see ``generate_frames``.
    """
    objective.eval()
    batch = split.batch(slice(count), device)
    generated = generate_frames(objective, batch)
    truth = split_parts(batch["clip"], objective.observed)
    frames = {"observed": truth["reconstruction"], "future": truth["prediction"]}
    for name in (*PARTS, "masked"):
        if name in generated:
            frames[name] = generated[name]
    with whole(path) as beside, h5py.File(beside, "w") as file:
        for name, value in frames.items():
            file[name] = _as_clips(value)
        if "flow" in generated:
            flow = generated["flow"].transpose(1, 2)  # (B, k, 2, H, W)
            clips, steps = flow.shape[:2]
            file["flow"] = flow.to(torch.float16).cpu().numpy()
            if true_flow is not None:
                start = objective.observed - 1
                shown = true_flow[:clips, start : start + steps]
                file["true_flow"] = shown.astype(np.float16)
        file.attrs["ids"] = split.ids[:count]


def _as_clips(frames: Tensor) -> np.ndarray:
    """Clips as they lie on disk: (B, C, t, H, W) in [0, 1] -> (B, t, H, W[, 3]) uint8."""
    values = frames.mul(255).round().to(torch.uint8)
    channels_last = values.permute(0, 2, 3, 4, 1).cpu().numpy()
    is_grey = channels_last.shape[-1] == 1
    return channels_last[..., 0] if is_grey else channels_last
