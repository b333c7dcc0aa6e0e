"""MobileNetV2: inverted residuals with depthwise convolutions.

Sandler et al., CVPR 2018, arXiv 1801.04381.

Parameters are called as in torchvision's ``mobilenet_v2`` state dict, which can be loaded as it is.
Two lines of published weights bear these names, and each wants its own treatment of the image:
``preprocessing: tensorflow``, the default, for weights converted from TensorFlow, ``torchvision``
for its own. Names and shapes do not tell them apart. Converted weights often have their batch
normalisation folded into the convolutions, which does; all others must be named.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.trunks.preprocessing import preprocessing as record

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
RECORDS = ("tensorflow", "torchvision")


def rounded(channels: float) -> int:
    """``channels`` as the nearest multiple of 8, at least 8, never more than a tenth smaller."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class SamePaddedConv2d(nn.Conv2d):
    """A convolution padded like TensorFlow's "SAME".

    An odd pixel of padding goes to the right and to the bottom.
    """

    def forward(self, maps: Tensor) -> Tensor:
        pads = []  # left, right, top, bottom
        for axis in (1, 0):
            side = maps.shape[2 + axis]
            stride = self.stride[axis]
            total = max(self.kernel_size[axis] - (side % stride or stride), 0)
            before = total // 2
            pads += [before, total - before]
        return super().forward(F.pad(maps, pads))


def conv_bn(
    channels_in: int,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    same_padding: bool,
) -> nn.Sequential:
    """Convolution -> batch normalisation -> ReLU6."""
    if same_padding and stride > 1:
        conv = SamePaddedConv2d(
            channels_in, channels, kernel, stride=stride, groups=groups, bias=False
        )
    else:
        conv = nn.Conv2d(
            channels_in,
            channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        )
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU6())


class InvertedResidual(nn.Module):
    """1 x 1 expansion, 3 x 3 depthwise convolution, linear 1 x 1 projection.

    There is a shortcut where shapes agree.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        stride: int,
        expansion: int,
        same_padding: bool,
    ):
        super().__init__()
        hidden = channels_in * expansion
        self.shortcut = stride == 1 and channels_in == channels
        self.conv = nn.Sequential()
        if expansion != 1:
            self.conv.append(conv_bn(channels_in, hidden, 1, same_padding=same_padding))
        self.conv.append(
            conv_bn(hidden, hidden, 3, stride=stride, groups=hidden, same_padding=same_padding)
        )
        self.conv.extend([nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels)])

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.conv(maps) if self.shortcut else self.conv(maps)


class MobileNetV2(nn.Module):
    """Stem, seventeen inverted residuals in seven groups, a 1 x 1 convolution, a classifier.

    The classifier is a dense layer after the global average.

    Args:
        width: multiplies all channels (rounded to multiples of 8); the last convolution only if it
            is above 1.
        classes: outputs of the classifier; 0 leaves the classifier out (trunks of other networks).
        preprocessing: that of the weights, tensorflow or torchvision; None is tensorflow, but
            weights that could be either are then refused.
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
        preprocessing: str | None = None,
        settings: Sequence[Sequence[int]] = SETTINGS,
        head: int = 1280,
    ):
        super().__init__()
        self.chosen = preprocessing
        self.preprocessing = record(preprocessing or RECORDS[0], RECORDS)
        same = self.preprocessing.same_padding
        channels = rounded(32 * width)
        self.features = nn.Sequential(conv_bn(3, channels, 3, stride=2, same_padding=same))
        self.groups = {"stem": ("features.0",)}
        for number, (expansion, base, blocks, stride) in enumerate(settings, start=1):
            wanted = rounded(base * width)
            names = []
            for block in range(blocks):
                names.append(f"features.{len(self.features)}")
                step = stride if block == 0 else 1
                self.features.append(
                    InvertedResidual(channels, wanted, step, expansion, same_padding=same)
                )
                channels = wanted
            self.groups[f"group{number}"] = tuple(names)
        last = rounded(head * max(1.0, width))
        self.features.append(conv_bn(channels, last, 1, same_padding=same))
        self.groups["head"] = (f"features.{len(self.features) - 1}",)
        self.channels = last
        self.size = last
        if classes:
            self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # by inputs: keeps the scale of depthwise maps too
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def check_weights(self, state: Mapping[str, Tensor], source: object) -> None:
        """See that weights are treated as they want to be.

        Raises:
            ValueError: they are of the other line, or could be of either and none is chosen.
        """
        means = [tensor for name, tensor in state.items() if name.endswith("running_mean")]
        folded = all(not mean.any() for mean in means)
        if folded and self.chosen == "torchvision":
            raise ValueError(
                f"{source}: its batch normalisation is folded, so it was converted from TensorFlow;"
                " set preprocessing in trunk_params to tensorflow"
            )
        if not folded and self.chosen is None:
            raise ValueError(
                f"{source}: names do not tell whether these weights are torchvision's or converted"
                " from TensorFlow, which want other images and padding; set preprocessing in"
                f" trunk_params to one of {', '.join(RECORDS)}"
            )

    def pool(self, maps: Tensor) -> Tensor:
        """Global average: (B, C, H, W) -> (B, C)."""
        return maps.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of normalised images: (B, 3, H, W) -> (B, classes)."""
        maps = self.features(images)
        return self.classifier(self.pool(maps))
