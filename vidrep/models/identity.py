"""Controls without parameters: the clip itself, its changes from frame to frame, its optical flow.

What a network has learnt is what its representation has beyond these.
"""

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


class FrameDifference(nn.Module):
    """Every frame minus the one before it, flattened.

    The difference keeps its sign (as the "RGB difference" of Wang et al., ECCV 2016, arXiv
    1608.00859): bright objects leave a positive edge ahead and a negative one behind, so that the
    direction of motion survives, which absolute values would lose.

    Args:
        clip_shape: (C, T, H, W).

    Layers: ``difference`` (B, C * (T-1) * H * W).

    Raises:
        ValueError: a single frame.
    """

    inputs = ("clip",)
    layers = ("difference",)

    def __init__(self, clip_shape: Sequence[int]):
        super().__init__()
        check_moving(clip_shape)
        self.difference = nn.Flatten()

    def forward(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C * (T-1) * H * W)."""
        return self.difference(clip.diff(dim=2))


class Flow(nn.Module):
    """The optical flow, flattened.

    With the exact flow it is all there is to know of the motion of visible pixels.

    Args:
        clip_shape: (C, T, H, W) of the clips that the flow belongs to.

    Layers: ``flow`` (B, 2 * (T-1) * H * W), in pixels.

    Raises:
        ValueError: a single frame.
    """

    inputs = ("flow",)
    layers = ("flow",)

    def __init__(self, clip_shape: Sequence[int]):
        super().__init__()
        check_moving(clip_shape)
        self.flow = nn.Flatten()

    def forward(self, flow: Tensor) -> Tensor:
        """(B, 2, T-1, H, W) -> (B, 2 * (T-1) * H * W)."""
        return self.flow(flow)


def check_moving(clip_shape: Sequence[int]) -> None:
    """Raise ValueError unless ``clip_shape`` is a clip of at least two frames."""
    if check_clip_shape(clip_shape)[1] < 2:
        raise ValueError("changes between frames need at least 2 frames, got 1")
