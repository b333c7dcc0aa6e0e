"""TSM: a residual network over single frames whose channels are shifted in time.

Lin et al., ICCV 2019, arXiv 1811.08383.

Every residual branch begins by moving some channels one frame back and as many one frame on; the
convolutions after it see a little of the neighbouring frames at no cost in weights or
multiply-adds. ``shift=0`` gives the same network without time, as in temporal segment networks
(TSN, Wang et al., ECCV 2016, arXiv 1608.00859): an image network, averaged over frames.

The default is ResNet-18 with an eighth of the channels shifted each way (offline, both directions).

Deviations: ResNet-18 instead of ResNet-50; no dropout before the classifier; torch's default weight
initialisation, no ImageNet weights; all frames instead of eight or sixteen sampled ones. Both
papers average the class scores of frames before the loss; with a linear classifier that is the
classifier of the averaged features, which is the embedding here.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.blocks import TimeMean, check_clip_shape, same_padding


class TemporalShift(nn.Module):
    """Move channels along time: (B, C, T, H, W) -> same; what comes from outside the clip is zero.

    Args:
        channels: number of channels shifted each way: the first ones come from the next frame, the
            second ones from the last.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def forward(self, maps: Tensor) -> Tensor:
        backward, forward, still = maps.tensor_split((self.channels, 2 * self.channels), dim=1)
        from_next = F.pad(backward[:, :, 1:], (0, 0, 0, 0, 0, 1))
        from_last = F.pad(forward[:, :, :-1], (0, 0, 0, 0, 1, 0))
        return torch.cat([from_next, from_last, still], dim=1)


def _conv(channels_in: int, channels: int, kernel: int, stride: int) -> list[nn.Module]:
    """Convolution of each frame, and batch normalisation."""
    size = (1, kernel, kernel)
    strides = (1, stride, stride)
    return [
        nn.Conv3d(channels_in, channels, size, strides, same_padding(size), bias=False),
        nn.BatchNorm3d(channels),
    ]


class ShiftBlock(nn.Module):
    """Shift and two 3x3 convolutions of each frame around a shortcut.

    (B, C_in, T, H, W) -> (B, C, T, H/s, W/s).
    """

    def __init__(self, channels_in: int, channels: int, *, stride: int, shifted: int):
        super().__init__()
        shift = [TemporalShift(shifted)] if shifted else []
        self.residual = nn.Sequential(
            *shift,
            *_conv(channels_in, channels, 3, stride),
            nn.ReLU(inplace=True),
            *_conv(channels, channels, 3, 1),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(*_conv(channels_in, channels, 1, stride))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.residual(maps) + self.shortcut(maps))


class SpaceMean(nn.Module):
    """Each frame as one vector: (B, C, T, H, W) -> (B, T, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((3, 4)).transpose(1, 2)


class TSM(nn.Module):
    """Stem, residual blocks, mean over space, mean over time.

    Args:
        clip_shape: (C, T, H, W).
        widths: channels of the stages; the stem has those of the first, and each stage after the
            first halves H and W.
        blocks: residual blocks of each stage.
        shift: share of the channels that a block shifts each way, at most a half; 0 for none.
        stem_kernel: side of the stem's kernel.
        stem_stride: of the stem; 1 for small frames.
        stem_pool: max pooling (3x3, stride 2) after the stem?

    Layers: ``stem``, ``res0`` ... (one per block), all (B, C, T, H, W), ``frames`` (B, T, D),
    ``embedding`` (B, D).

    Raises:
        ValueError: a share out of range or so small that no channel moves, or widths and blocks of
            different lengths.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (2, 2, 2, 2),
        shift: float = 0.125,
        stem_kernel: int = 7,
        stem_stride: int = 2,
        stem_pool: bool = True,
    ):
        super().__init__()
        channels, *_ = check_clip_shape(clip_shape)
        if not widths or len(widths) != len(blocks):
            raise ValueError(
                f"widths and blocks must be as many, one number a stage, got {list(widths)} and"
                f" {list(blocks)}"
            )
        if shift and not (0 < shift <= 0.5 and int(min(widths) * shift) >= 1):
            raise ValueError(
                f"shift must be 0, or at most 0.5 and at least one of {min(widths)} channels, got"
                f" {shift}"
            )
        before = widths[0]
        self.stem = nn.Sequential(
            *_conv(channels, before, stem_kernel, stem_stride), nn.ReLU(inplace=True)
        )
        if stem_pool:
            self.stem.append(nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)))
        number = 0
        for stage, (after, count) in enumerate(zip(widths, blocks, strict=True)):
            for block in range(count):
                halves = stage > 0 and block == 0
                layer = ShiftBlock(
                    before, after, stride=2 if halves else 1, shifted=int(before * shift)
                )
                self.add_module(f"res{number}", layer)
                before = after
                number += 1
        self.frames = SpaceMean()
        self.embedding = TimeMean()
        self.layers = tuple(name for name, _ in self.named_children())

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, widths[-1]).
        """
        features = clip
        for name in self.layers:
            features = self.get_submodule(name)(features)
        return features
