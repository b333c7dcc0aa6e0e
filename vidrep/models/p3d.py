"""P3D: residual networks of pseudo-3-D bottleneck blocks.

Qiu, Yao & Mei, ICCV 2017, arXiv 1711.10305.

A 3x3x3 convolution is split into one over space, S = 1x3x3, and one over time, T = 3x1x1, which are
wired in one of three ways:

    a (serial)              T(S(x))
    b (parallel)            S(x) + T(x)
    c (serial with a skip)  S(x) + T(S(x))

Every convolution is conv -> BN -> ReLU. A block is a 1x1x1 reduction, one of the above, a 1x1x1
expansion without ReLU, the shortcut added, and a ReLU. "abc" is the published network, which cycles
through the three.

Deviations from the paper's network, so that it compares with ``resnet3d`` on 16 x 64 x 64 clips:
* no max pooling after the stem, and stages 2 to 4 halve T, H and W in their first reduction; the
  paper halves time by max pooling after each stage, and has no time left in its last stage, whose
  blocks are therefore 2-D. Here time is left, and the last stage has both S and T;
* the batch normalisation's constants and the convolutions' biases are those of ``resnet3d``; no
  dropout before the head.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape, conv_norm, triple

KINDS = ("a", "b", "c", "abc")
# Blocks of each stage, under the number of layers that a 2-D network of such bottlenecks has.
BLOCKS = {
    14: (1, 1, 1, 1),
    26: (2, 2, 2, 2),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
EXPANSION = 4  # channels after a block over channels inside it


def _conv_norm_relu(
    channels_in: int,
    channels: int,
    kernel: Sequence[int],
    stride: Sequence[int] = (1, 1, 1),
) -> nn.Sequential:
    return nn.Sequential(*conv_norm(channels_in, channels, kernel, stride), nn.ReLU(inplace=True))


class PseudoBlock(nn.Module):
    """Bottleneck block: (B, C_in, T, H, W) -> (B, C, T/s, H/s, W/s).

    Args:
        channels_in, channels: before and after the block; inside it are a quarter of the latter.
        kind: a, b or c.
        stride: of the reduction and of the shortcut.
    """

    def __init__(self, channels_in: int, channels: int, *, kind: str, stride: int):
        super().__init__()
        self.kind = kind
        inner = channels // EXPANSION
        strides = triple(stride)
        self.reduce = _conv_norm_relu(channels_in, inner, triple(1), strides)
        self.space = _conv_norm_relu(inner, inner, (1, 3, 3))
        self.time = _conv_norm_relu(inner, inner, (3, 1, 1))
        self.expand = nn.Sequential(*conv_norm(inner, channels, triple(1)))
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(*conv_norm(channels_in, channels, triple(1), strides))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        reduced = self.reduce(maps)
        space = self.space(reduced)
        inner = self.time(reduced if self.kind == "b" else space)
        if self.kind != "a":
            inner = inner + space
        return self.relu(self.expand(inner) + self.shortcut(maps))


class P3D(nn.Module):
    """Stem, pseudo-3-D bottleneck blocks, mean over time and space.

    Args:
        clip_shape: (C, T, H, W).
        blocks: kind of all blocks, "a", "b" or "c", or "abc" for the cycle.
        depth: 14, 26, 50, 101 or 152, the layers of the 2-D network with as many blocks.
        widths: channels of the stem and of the four stages, the latter multiples of four; stages 2
            to 4 halve T, H and W.
        stem_kernel: (T, H, W).
        stem_stride: (T, H, W); 1 for small frames.

    Layers: ``stem``, ``res0`` ... (one per block), all (B, C, T, H, W), then ``embedding`` (B,
    widths[4]).

    Raises:
        ValueError: unknown blocks or depth, or widths that do not fit.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        blocks: str = "abc",
        depth: int = 50,
        widths: Sequence[int] = (64, 256, 512, 1024, 2048),
        stem_kernel: Sequence[int] = (1, 7, 7),
        stem_stride: Sequence[int] = (1, 2, 2),
    ):
        super().__init__()
        channels_in = check_clip_shape(clip_shape)[0]
        if blocks not in KINDS:
            raise ValueError(f"blocks must be one of {', '.join(KINDS)}, got {blocks!r}")
        if depth not in BLOCKS:
            raise ValueError(f"depth must be one of {', '.join(map(str, BLOCKS))}, got {depth}")
        if len(widths) != 5 or any(width < EXPANSION or width % EXPANSION for width in widths[1:]):
            raise ValueError(
                f"widths must be five numbers, those of the stages multiples of {EXPANSION}, got"
                f" {list(widths)}"
            )
        self.stem = _conv_norm_relu(
            channels_in, widths[0], triple(stem_kernel), triple(stem_stride)
        )
        before = widths[0]
        number = 0
        for stage, count in enumerate(BLOCKS[depth]):
            after = widths[stage + 1]
            for block in range(count):
                halves = stage > 0 and block == 0
                kind = blocks[number % len(blocks)]
                layer = PseudoBlock(before, after, kind=kind, stride=2 if halves else 1)
                self.add_module(f"res{number}", layer)
                before = after
                number += 1
        self.embedding = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())
        self.layers = tuple(name for name, _ in self.named_children())

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, widths[4]).
        """
        features = clip
        for name in self.layers:
            features = self.get_submodule(name)(features)
        return features
