"""MobileNetV2 (Sandler et al., CVPR 2018, arXiv 1801.04381): inverted residuals with depthwise
convolutions.

Parameters are called as in torchvision's ``mobilenet_v2`` state dict, which can be loaded as it is.
Two lines of published weights exist, and each wants its own treatment of the image:

* TensorFlow's (also when converted to torchvision's names): input in [-1, 1], "SAME" padding, which
  for stride 2 on even sides pads only right and bottom. This is the default.
* torchvision's own: ``normalisation: imagenet`` (mean and standard deviation), ``tf_padding:
  false`` (one pixel on every side).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.trunks.vgg19 import IMAGENET_MEAN, IMAGENET_STD

# of each group: expansion, channels, blocks, stride of its first block
SETTINGS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
NORMALISATIONS = {"unit": ((0.5,) * 3, (0.5,) * 3), "imagenet": (IMAGENET_MEAN, IMAGENET_STD)}


def rounded(channels: float) -> int:
    """``channels`` as the nearest multiple of 8, at least 8, and never more than a tenth
    smaller.
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class SamePaddedConv2d(nn.Conv2d):
    """A convolution padded like TensorFlow's "SAME": an odd pixel of padding goes to the right and
    to the bottom.
    """

    def forward(self, maps: Tensor) -> Tensor:
        pads = []
        for side, kernel, stride in zip(
            maps.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            total = max(kernel - (side % stride or stride), 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(maps, pads))


def conv_bn(
    channels_in: int,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    tf_padding: bool,
) -> nn.Sequential:
    """Convolution -> batch normalisation -> ReLU6."""
    shape = {"stride": stride, "groups": groups, "bias": False}
    if tf_padding and stride > 1:
        conv = SamePaddedConv2d(channels_in, channels, kernel, **shape)
    else:
        conv = nn.Conv2d(channels_in, channels, kernel, padding=kernel // 2, **shape)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU6())


class InvertedResidual(nn.Module):
    """1 x 1 expansion, 3 x 3 depthwise convolution, linear 1 x 1 projection; a shortcut where
    shapes agree.
    """

    def __init__(
        self, channels_in: int, channels: int, stride: int, expansion: int, tf_padding: bool
    ):
        super().__init__()
        hidden = channels_in * expansion
        self.shortcut = stride == 1 and channels_in == channels
        self.conv = nn.Sequential()
        if expansion != 1:
            self.conv.append(conv_bn(channels_in, hidden, 1, tf_padding=tf_padding))
        self.conv.append(
            conv_bn(hidden, hidden, 3, stride=stride, groups=hidden, tf_padding=tf_padding)
        )
        self.conv.extend([nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels)])

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.conv(maps) if self.shortcut else self.conv(maps)


class MobileNetV2(nn.Module):
    """Stem, seventeen inverted residuals in seven groups, a 1 x 1 convolution; a dense layer after
    the global average.

    Args:
        width: multiplies all channels (rounded to multiples of 8); the last convolution only if it
            is above 1.
        classes: outputs of the classifier; 0 leaves the classifier out (trunks of other networks).
        tf_padding: pad stride-2 convolutions like TensorFlow.
        normalisation: "unit" ([-1, 1]) or "imagenet".
        settings: (expansion, channels, blocks, stride) of each group; networks for a few thousand
            small clips need fewer.
        head: channels of the last convolution.

    Attributes: as ``VGG19``.
    """

    image_px = 96
    fixed_size = False
    classifier_prefix = "classifier."
    smallest_px = 1
    takes_clips = False

    def __init__(
        self,
        *,
        width: float = 1.0,
        classes: int = 0,
        tf_padding: bool = True,
        normalisation: str = "unit",
        settings: Sequence[Sequence[int]] = SETTINGS,
        head: int = 1280,
    ):
        super().__init__()
        if normalisation not in NORMALISATIONS:
            raise ValueError(
                f"normalisation must be one of {', '.join(NORMALISATIONS)}, got {normalisation!r}"
            )
        self.mean, self.std = NORMALISATIONS[normalisation]
        channels = rounded(32 * width)
        self.features = nn.Sequential(conv_bn(3, channels, 3, stride=2, tf_padding=tf_padding))
        self.groups = {"stem": ("features.0",)}
        for number, (expansion, base, blocks, stride) in enumerate(settings, start=1):
            first = len(self.features)
            for index in range(blocks):
                wanted = rounded(base * width)
                self.features.append(
                    InvertedResidual(
                        channels,
                        wanted,
                        stride if index == 0 else 1,
                        expansion,
                        tf_padding=tf_padding,
                    )
                )
                channels = wanted
            self.groups[f"group{number}"] = tuple(
                f"features.{index}" for index in range(first, len(self.features))
            )
        last = rounded(head * max(1.0, width))
        self.features.append(conv_bn(channels, last, 1, tf_padding=tf_padding))
        self.groups["head"] = (f"features.{len(self.features) - 1}",)
        self.channels = self.size = last
        if classes:
            self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # by inputs: keeps the scale of depthwise maps too
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def pool(self, maps: Tensor) -> Tensor:
        """Global average: (N, C, H, W) -> (N, C)."""
        return maps.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of normalised images: (N, 3, H, W) -> (N, classes)."""
        return self.classifier(torch.flatten(self.pool(self.features(images)), 1))
