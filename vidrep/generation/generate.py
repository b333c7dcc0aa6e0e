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

    Raises:
        ValueError: it generates nothing, frames of another shape than the true ones, or values
            outside [0, 1].
    """
    name = type(objective).__name__
    if not hasattr(objective, "generate"):
        raise ValueError(f"objective {name} generates no frames")
    generated = {part: frames.float() for part, frames in objective.generate(batch).items()}
    for part, truth in split_parts(batch["clip"], objective.observed).items():
        if part not in generated:
            continue
        if generated[part].shape != truth.shape:
            raise ValueError(
                f"objective {name} generates {part} of shape {tuple(generated[part].shape)}, not"
                f" {tuple(truth.shape)}"
            )
        low, high = generated[part].aminmax() if truth.numel() else (truth.new_zeros(()),) * 2
        if low < -_SLACK or high > 1 + _SLACK:
            raise ValueError(
                f"objective {name} generates {part} with values from {low:.3g} to {high:.3g}; they"
                " must lie in [0, 1]"
            )
        generated[part] = generated[part].clamp(0, 1)
    return generated


def split_parts(clip: Tensor, observed: int) -> dict[str, Tensor]:
    """The true frames of each part: (B, C, T, H, W) cut before frame ``observed``."""
    return dict(zip(PARTS, (clip[:, :, :observed], clip[:, :, observed:]), strict=True))


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
    frames = dict(
        zip(
            ("observed", "future"),
            split_parts(batch["clip"], objective.observed).values(),
            strict=True,
        )
    )
    frames |= {name: generated[name] for name in (*PARTS, "masked") if name in generated}
    with whole(path) as beside, h5py.File(beside, "w") as file:
        for name, value in frames.items():
            file[name] = _as_clips(value)
        if "flow" in generated:
            file["flow"] = flow = generated["flow"].transpose(1, 2).to(torch.float16).cpu().numpy()
            if true_flow is not None:
                start = objective.observed - 1
                file["true_flow"] = true_flow[: len(flow), start : start + flow.shape[1]].astype(
                    np.float16
                )
        file.attrs["ids"] = split.ids[:count]


def _as_clips(frames: Tensor) -> np.ndarray:
    """(B, C, t, H, W) in [0, 1] -> uint8 clips as they lie on disk."""
    channels_last = frames.mul(255).round().to(torch.uint8).permute(0, 2, 3, 4, 1).cpu().numpy()
    return channels_last[..., 0] if channels_last.shape[-1] == 1 else channels_last
