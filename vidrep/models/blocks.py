"""Parts that several architectures share: size checks, padding, blocks, frames as vectors."""

from collections.abc import Sequence

from torch import Tensor, nn

Triple = int | Sequence[int]


def check_clip_shape(clip_shape: Sequence[int]) -> tuple[int, int, int, int]:
    """``clip_shape`` as a tuple (C, T, H, W).

    Raises:
        ValueError: anything but four positive whole numbers.
    """
    shape = tuple(clip_shape)
    if len(shape) != 4 or any(not isinstance(size, int) or size < 1 for size in shape):
        raise ValueError(
            f"clip_shape must be four positive whole numbers (C, T, H, W), got {shape}"
        )
    return shape


def triple(value: Triple) -> tuple[int, int, int]:
    """A size over (T, H, W): one number serves all three.

    Raises:
        ValueError: neither a positive number nor three of them.
    """
    sizes = (value,) * 3 if isinstance(value, int) else tuple(value)
    if len(sizes) != 3 or any(not isinstance(size, int) or size < 1 for size in sizes):
        raise ValueError(
            f"expected a positive whole number or three of them (T, H, W), got {value}"
        )
    return sizes


def same_padding(kernel: Sequence[int]) -> tuple[int, ...]:
    """Padding with which a convolution of stride 1 keeps the size.

    Raises:
        ValueError: an even kernel, which has none.
    """
    if any(size % 2 == 0 for size in kernel):
        raise ValueError(f"kernel sizes must be odd, got {tuple(kernel)}")
    return tuple(size // 2 for size in kernel)


def pooled(size: Sequence[int], pool: Triple) -> tuple[int, ...]:
    """Size (T, H, W) after pooling without padding.

    Raises:
        ValueError: the pool is larger than the map.
    """
    after = tuple(before // factor for before, factor in zip(size, triple(pool), strict=True))
    if 0 in after:
        raise ValueError(
            f"a feature map of {tuple(size)} (T, H, W) is too small for pooling by {triple(pool)}:"
            " use larger clips"
        )
    return after


def convolved(size: Sequence[int], kernel: Triple, stride: Triple = 1) -> tuple[int, ...]:
    """Size (T, H, W) after a convolution without padding.

    Raises:
        ValueError: a map smaller than the kernel.
    """
    kernel = triple(kernel)
    after = []
    for side, extent, step in zip(size, kernel, triple(stride), strict=True):
        if side < extent:
            raise ValueError(
                f"a feature map of {tuple(size)} (T, H, W) is smaller than the kernel {kernel}: use"
                " larger clips"
            )
        after.append((side - extent) // step + 1)
    return tuple(after)


def conv_block(
    channels_in: int,
    channels: int,
    kernel: Triple,
    pool: Triple,
    momentum: float = 0.01,
) -> nn.Sequential:
    """Convolution with same padding -> ReLU -> batch normalisation -> max pooling.

    There is no pooling where ``pool`` is 1.

    The order and the constants (Keras momentum 0.99, eps 1e-3) are those of
    gbpcosta/video_representations. ``momentum`` is the weight of a new batch in the running
    statistics, where Keras gives that of the old average; trainings of a few hundred steps need a
    larger one to catch up.

    Returns:
        Module from (B, channels_in, T, H, W) to (B, channels, T / pool, H / pool, W / pool).
    """
    kernel = triple(kernel)
    pool = triple(pool)
    block = nn.Sequential(
        nn.Conv3d(channels_in, channels, kernel, padding=same_padding(kernel)),
        nn.ReLU(inplace=True),
        nn.BatchNorm3d(channels, eps=1e-3, momentum=momentum),
    )
    if pool != (1, 1, 1):
        block.append(nn.MaxPool3d(pool))
    return block


def conv_norm(
    channels_in: int,
    channels: int,
    kernel: Sequence[int],
    stride: Sequence[int] = (1, 1, 1),
) -> list[nn.Module]:
    """Convolution with same padding, then batch normalisation; kernel and stride are (T, H, W).

    The constants (Keras momentum 0.9, eps 1e-3) are those of the residual networks in
    gbpcosta/video_representations.
    """
    convolution = nn.Conv3d(
        channels_in, channels, tuple(kernel), stride=tuple(stride), padding=same_padding(kernel)
    )
    return [convolution, nn.BatchNorm3d(channels, eps=1e-3, momentum=0.1)]


class FlattenFrames(nn.Module):
    """Every frame as one vector: (B, C, T, H, W) -> (B, T, C * H * W)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.transpose(1, 2).flatten(2)


class TimeMean(nn.Module):
    """Average over frames: (B, T, D) -> (B, D)."""

    def forward(self, vectors: Tensor) -> Tensor:
        return vectors.mean(1)


def frame_cnn(
    clip_shape: Sequence[int], convs: Sequence[Sequence[int]], momentum: float
) -> tuple[nn.Sequential, int]:
    """Blocks ``conv1`` ... on every frame by itself, then ``flatten``.

    Args:
        clip_shape: (C, T, H, W).
        convs: (channels, kernel, pool) of each block over H and W; ``pool`` 1 means none.
        momentum: see ``conv_block``.

    Returns:
        Module from (B, C, T, H, W) to (B, T, F), and F.

    Raises:
        ValueError: the frames are too small for the pooling.
    """
    channels_in, *size = check_clip_shape(clip_shape)
    network = nn.Sequential()
    for number, (channels, kernel, pool) in enumerate(convs, start=1):
        block = conv_block(channels_in, channels, (1, kernel, kernel), (1, pool, pool), momentum)
        network.add_module(f"conv{number}", block)
        channels_in = channels
        size = pooled(size, (1, pool, pool))
    network.add_module("flatten", FlattenFrames())
    _, height, width = size
    return network, channels_in * height * width
