"""Pixels: the clip itself as representation, the floor under every learnt one. A control without parameters."""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape


class Pixels(nn.Module):
    """The clip, flattened.

    Args:
        clip_shape: (C, T, H, W).

    Layers: ``pixels`` (B, C * T * H * W).
    """

    inputs = ("clip",)
    layers = ("pixels",)

    def __init__(self, clip_shape: Sequence[int]):
        super().__init__()
        check_clip_shape(clip_shape)
        self.pixels = nn.Flatten()

    def forward(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C * T * H * W)."""
        return self.pixels(clip)
