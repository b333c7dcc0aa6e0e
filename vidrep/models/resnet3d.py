"""R3D and R(2+1)D: residual networks of full or factorised 3-D convolutions.

Tran et al., CVPR 2018, arXiv 1711.11248.

The default is "R3D small" of gbpcosta/video_representations (ResNet-10 layout); ``factorised=True``
gives its "R(2+1)D small".

Two things of that code are kept, so that results compare:
* the final average pooling (1x7x7, stride 1, same padding, borders not counted) keeps the size of
  the map. At the 4x4 of the reference every window covers the whole map, so the head sees the
  spatial mean repeated at every position;
* it reads its embedding off the last residual block, before this pooling. Here ``embedding`` is
  what a head sees, after the pooling; the reference's features are the layer ``res<last>``,
  flattened.

Deviations: torch's symmetric padding in strided convolutions (TensorFlow pads the far side more);
torch's default weight initialisation; the classifier head is not part of the model.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape, conv_norm, triple

# residual blocks of each stage, by depth
BLOCKS = {
    10: (1, 1, 1, 1),
    16: (2, 2, 2, 1),
    18: (2, 2, 2, 2),
    26: (2, 3, 4, 3),
    34: (3, 4, 6, 3),
}


def mid_channels(channels_in: int, channels: int, kernel: int = 3) -> int:
    """Channels between the halves of a (2+1)-D convolution.

    With them it has about as many weights as the full 3-D one.
    """
    area = kernel * kernel
    full = 3 * area * channels_in * channels
    per_channel = area * channels_in + 3 * channels
    return full // per_channel


def _split_conv(
    channels_in: int,
    mid: int,
    channels: int,
    kernel: Sequence[int],
    stride: Sequence[int],
) -> list[nn.Module]:
    """The (2+1)-D form: space, BN, ReLU, time, BN. Each half carries its part of the stride."""
    length, height, width = kernel
    step_time, step_height, step_width = stride
    spatial = conv_norm(channels_in, mid, (1, height, width), (1, step_height, step_width))
    temporal = conv_norm(mid, channels, (length, 1, 1), (step_time, 1, 1))
    return [*spatial, nn.ReLU(inplace=True), *temporal]


class ResidualBlock(nn.Module):
    """Two 3x3x3 convolutions, or their factorised forms, around a shortcut.

    (B, C_in, T, H, W) -> (B, C, T/s, H/s, W/s).
    """

    def __init__(self, channels_in: int, channels: int, *, stride: int, factorised: bool):
        super().__init__()
        kernel = triple(3)
        strides = triple(stride)

        def conv(before: int, strides: Sequence[int]) -> list[nn.Module]:
            if not factorised:
                return conv_norm(before, channels, kernel, strides)
            mid = mid_channels(before, channels)
            return _split_conv(before, mid, channels, kernel, strides)

        self.residual = nn.Sequential(
            *conv(channels_in, strides), nn.ReLU(inplace=True), *conv(channels, triple(1))
        )
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(*conv_norm(channels_in, channels, triple(1), strides))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        return self.relu(self.residual(maps) + self.shortcut(maps))


class ResNet3D(nn.Module):
    """Stem, residual blocks, average pooling that keeps the size, flatten.

    Args:
        clip_shape: (C, T, H, W).
        factorised: R(2+1)D instead of R3D convolutions.
        depth: 10, 16, 18, 26 or 34.
        widths: channels of the stem and of the four stages; stages 2 to 4 halve T, H and W.
        stem_kernel: (T, H, W).
        stem_stride: (T, H, W); 1 for small frames.

    Layers: ``stem``, ``res0`` ... (one per residual block), all (B, C, T, H, W), then ``embedding``
    (B, D).

    Raises:
        ValueError: unknown depth, or not five widths.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        factorised: bool = False,
        depth: int = 10,
        widths: Sequence[int] = (32, 32, 64, 64, 128),
        stem_kernel: Sequence[int] = (3, 7, 7),
        stem_stride: Sequence[int] = (1, 2, 2),
    ):
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"depth must be one of {', '.join(map(str, BLOCKS))}, got {depth}")
        if len(widths) != 5:
            raise ValueError(
                f"widths must be five numbers (stem and four stages), got {list(widths)}"
            )
        channels_in, *_ = check_clip_shape(clip_shape)
        before = widths[0]
        kernel = triple(stem_kernel)
        stride = triple(stem_stride)
        if factorised:
            # The reference's stem is the one place where the width between the halves is not taken
            # from the formula.
            stem = _split_conv(channels_in, before, before, kernel, stride)
        else:
            stem = conv_norm(channels_in, before, kernel, stride)
        self.stem = nn.Sequential(*stem, nn.ReLU(inplace=True))
        number = 0
        for stage, count in enumerate(BLOCKS[depth]):
            after = widths[stage + 1]
            for block in range(count):
                halves = stage > 0 and block == 0
                layer = ResidualBlock(
                    before, after, stride=2 if halves else 1, factorised=factorised
                )
                self.add_module(f"res{number}", layer)
                before = after
                number += 1
        # the 3-D pooling refuses maps smaller than its window
        blur = nn.AvgPool2d(7, stride=1, padding=3, count_include_pad=False)
        # (B, C, T, H, W) -> (B, C * T, H, W) -> (B, D)
        self.embedding = nn.Sequential(nn.Flatten(1, 2), blur, nn.Flatten())
        self.layers = tuple(name for name, _ in self.named_children())

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, D) with D = widths[4] * T/8 * H/16 * W/16 for the default stem, sizes rounded up at
            each halving.
        """
        features = clip
        for name in self.layers:
            features = self.get_submodule(name)(features)
        return features
