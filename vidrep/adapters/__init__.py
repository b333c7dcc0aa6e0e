"""Networks of other libraries as models of ours; a library is imported when it is used."""

import importlib
from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def library(name: str, hint: str = "") -> ModuleType:
    """An optional library.

    Args:
        name: of its module.
        hint: what else to know where it does not work.

    Raises:
        ValueError: it is missing, or does not work here; one sentence says why.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"this network takes the package {name}, which cannot be imported: {reason}{hint}"
        ) from error


class Images(nn.Module):
    """Frames as a network of another library wants them: resized as a whole, normalised, RGB.

    Args:
        mean, std: of each colour, for images in [0, 1].
        size: (height, width) that all frames get; None leaves them as they are.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], size: tuple[int, int] | None = None
    ):
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) in [0, 1], grey or RGB -> (B * T, 3, H', W')."""
        frames = clip.transpose(1, 2).flatten(0, 1)
        if self.size and tuple(frames.shape[2:]) != self.size:
            shrinks = frames.shape[2] > self.size[0] or frames.shape[3] > self.size[1]
            frames = F.interpolate(frames, self.size, mode="bilinear", antialias=shrinks)
        return (frames - self.mean) / self.std  # broadcasting repeats grey


def check_colours(channels: int) -> None:
    """Raise ValueError unless clips are grey or RGB."""
    if channels not in (1, 3):
        raise ValueError(f"it takes grey or RGB clips, got {channels} channels")
