"""SlowFast: a wide pathway on few frames beside a thin one on all.

Feichtenhofer et al., ICCV 2019, arXiv 1812.03982.

Both pathways are bottleneck residual networks. The slow one sees every ``alpha``-th frame and looks
over time only in its last two stages; the fast one has ``beta`` of its channels, sees all frames
and looks over time in every block. After the stem and after every stage but the last, a convolution
over time with stride ``alpha`` brings the fast maps to the slow ones.

The default, SlowFast-tiny, is ours: half the paper's channels and one block a stage. ``width=64,
blocks=[3, 4, 6, 3], alpha=8`` is the paper's SlowFast 4x16 on ResNet-50.

Deviations: batch normalisation and ReLU after the lateral convolutions, as in the authors' code; no
dropout before the classifier; torch's default weight initialisation.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape, same_padding

EXPANSION = 4  # a block's outer channels as a multiple of its inner ones
LATERAL = 2  # channels of a lateral connection as a multiple of the fast pathway's
SLOW_TEMPORAL = 2  # stages of the slow pathway that look over time: the last two


def _conv(
    channels_in: int,
    channels: int,
    kernel: Sequence[int],
    stride: Sequence[int] = (1, 1, 1),
) -> list[nn.Module]:
    """Convolution and batch normalisation."""
    convolution = nn.Conv3d(
        channels_in, channels, tuple(kernel), tuple(stride), same_padding(kernel), bias=False
    )
    return [convolution, nn.BatchNorm3d(channels)]


class Bottleneck(nn.Module):
    """A t x 1 x 1, a 1 x 3 x 3 and a 1 x 1 x 1 convolution around a shortcut.

    (B, C_in, T, H, W) -> (B, 4 * inner, T, H/s, W/s).
    """

    def __init__(self, channels_in: int, inner: int, *, time_kernel: int, stride: int):
        super().__init__()
        channels = EXPANSION * inner
        strides = (1, stride, stride)
        self.residual = nn.Sequential(
            *_conv(channels_in, inner, (time_kernel, 1, 1)),
            nn.ReLU(inplace=True),
            *_conv(inner, inner, (1, 3, 3), strides),
            nn.ReLU(inplace=True),
            *_conv(inner, channels, (1, 1, 1)),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(*_conv(channels_in, channels, (1, 1, 1), strides))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.residual(maps) + self.shortcut(maps))


class Pathway(nn.Module):
    """One pathway: ``stem`` and ``res2`` ... (the paper's names).

    They are called from outside, one after the other.

    Args:
        channels_in: channels of the clip.
        width: inner channels of the first stage, and channels of the stem; each further stage has
            twice as many.
        blocks: bottlenecks of each stage.
        time_kernels: length in frames of the kernels of the stem and of each stage.
        lateral: channels that join the stem's maps, as a share of ``width``; twice, four times ...
            as many join later ones.
        stem_kernel, stem_stride, stem_pool: see ``SlowFast``.
    """

    def __init__(
        self,
        channels_in: int,
        *,
        width: int,
        blocks: Sequence[int],
        time_kernels: Sequence[int],
        lateral: float,
        stem_kernel: int,
        stem_stride: int,
        stem_pool: bool,
    ):
        super().__init__()
        kernel = (time_kernels[0], stem_kernel, stem_kernel)
        self.stem = nn.Sequential(
            *_conv(channels_in, width, kernel, (1, stem_stride, stem_stride)), nn.ReLU(inplace=True)
        )
        if stem_pool:
            self.stem.append(nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)))
        before = width
        for stage, count in enumerate(blocks):
            inner = width * 2**stage
            time_kernel = time_kernels[stage + 1]
            before += int(lateral * before)
            stack = nn.Sequential()
            for block in range(count):
                halves = stage > 0 and block == 0
                stride = 2 if halves else 1
                stack.append(Bottleneck(before, inner, time_kernel=time_kernel, stride=stride))
                before = EXPANSION * inner
            self.add_module(f"res{stage + 2}", stack)
        self.channels = before


class Lateral(nn.Module):
    """Fast maps brought to the slow pathway's frames, beside its maps.

    (B, C, T/a, H, W) and (B, F, T, H, W) -> (B, C + 2F, T/a, H, W).
    """

    def __init__(self, channels: int, alpha: int):
        super().__init__()
        self.convolve = nn.Sequential(
            *_conv(channels, LATERAL * channels, (5, 1, 1), (alpha, 1, 1)), nn.ReLU(inplace=True)
        )

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        return torch.cat([slow, self.convolve(fast)], dim=1)


class JoinMeans(nn.Module):
    """The mean of each pathway's last maps over space and time, side by side.

    (B, C, T/a, H, W) and (B, F, T, H, W) -> (B, C + F).
    """

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        return torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], dim=1)


class SlowFast(nn.Module):
    """Both pathways, lateral connections from fast to slow, joined means.

    Args:
        clip_shape: (C, T, H, W).
        alpha: the slow pathway sees every ``alpha``-th frame, from the first on.
        beta: the fast pathway's channels as a share of the slow one's.
        width: inner channels of the slow pathway's first stage; each further stage has twice as
            many and halves H and W.
        blocks: bottlenecks of each stage, of both pathways.
        stem_kernel: side of the stems' kernels.
        stem_stride: of the stems; 1 for small frames.
        stem_pool: max pooling (3x3, stride 2) after the stems?

    Layers: ``slow.stem``, ``fast.stem``, ``slow.res2``, ``fast.res2`` ... (B, C, T, H, W), before
    what joins the slow ones; ``embedding`` (B, D).

    Raises:
        ValueError: no stage, or a fast pathway without whole channels.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        alpha: int = 4,
        beta: float = 0.125,
        width: int = 32,
        blocks: Sequence[int] = (1, 1, 1, 1),
        stem_kernel: int = 7,
        stem_stride: int = 2,
        stem_pool: bool = True,
    ):
        super().__init__()
        channels, *_ = check_clip_shape(clip_shape)
        if not blocks or alpha < 1 or width * beta < 1 or width * beta % 1:
            raise ValueError(
                "give at least one stage, alpha of at least 1 and beta of width in whole channels,"
                f" got blocks {list(blocks)}, alpha {alpha}, beta {beta}, width {width}"
            )
        self.alpha = alpha
        stages = len(blocks)
        fast_width = int(width * beta)
        flat_stages = max(0, stages - SLOW_TEMPORAL)
        pathway = partial(
            Pathway,
            channels,
            blocks=blocks,
            stem_kernel=stem_kernel,
            stem_stride=stem_stride,
            stem_pool=stem_pool,
        )
        slow_kernels = [1] + [1] * flat_stages + [3] * (stages - flat_stages)
        fast_kernels = [5] + [3] * stages
        self.slow = pathway(width=width, time_kernels=slow_kernels, lateral=LATERAL * beta)
        self.fast = pathway(width=fast_width, time_kernels=fast_kernels, lateral=0)
        # channels of the fast maps that join before each stage: those of the stem, then of stages
        joining = [fast_width]
        for stage in range(stages - 1):
            joining.append(fast_width * EXPANSION * 2**stage)
        self.lateral = nn.ModuleList([Lateral(count, alpha) for count in joining])
        self.embedding = JoinMeans()
        self.steps = ("stem", *(f"res{stage + 2}" for stage in range(stages)))
        self.layers = ()
        for step in self.steps:
            self.layers += (f"slow.{step}", f"fast.{step}")
        self.layers += ("embedding",)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, D), D = (1 + beta) * 4 * width * 2 ** (stages - 1): the slow pathway's features,
            then the fast one's.
        """
        slow = self.slow.stem(clip[:, :, :: self.alpha])
        fast = self.fast.stem(clip)
        for join, step in zip(self.lateral, self.steps[1:], strict=True):
            joined = join(slow, fast)
            slow = self.slow.get_submodule(step)(joined)
            fast = self.fast.get_submodule(step)(fast)
        return self.embedding(slow, fast)
