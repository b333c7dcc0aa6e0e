"""An embedding of every frame in its short past, as temporal cycle-consistency learning uses.

Dwibedi et al., CVPR 2019, arXiv 1904.07846, with the small base network that its released code
(google-research/tcc) trains from scratch: seven convolutions on every frame; the maps of
``context`` frames, the frame itself and earlier ones, stacked in time; two 3-D convolutions, one
maximum over time and space, two dense layers, and a linear embedding, which is not normalised.

The embedding must not know how far a video has got but by what is seen: no recurrence, no code of
position in time. The base runs once on each frame of a clip, however many contexts the frame is in.

Deviations: frames are embedded at all times, also those that a loss does not sample (they count in
the batch statistics); normal instead of truncated-normal convolution weights. The published base, a
ResNet-50 with ImageNet weights, is not here.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape

EPS = 1e-3  # of the batch normalisation, as in Keras


def conv_norm_relu(
    channels_in: int,
    channels: int,
    kernel: Sequence[int],
    momentum: float,
    stride: int = 1,
) -> list[nn.Module]:
    """Convolution with same padding -> batch normalisation -> ReLU.

    Args:
        channels_in, channels: of the convolution.
        kernel: (T, H, W).
        momentum: of the batch normalisation's running statistics.
        stride: over H and W.
    """
    padding = tuple(size // 2 for size in kernel)
    strides = (1, stride, stride)
    return [
        nn.Conv3d(channels_in, channels, tuple(kernel), strides, padding),
        nn.BatchNorm3d(channels, eps=EPS, momentum=momentum),
        nn.ReLU(inplace=True),
    ]


class PastContext(nn.Module):
    """Stacks the maps of past frames, convolves them, and takes the maximum over time and space.

    Args:
        channels_in: C of the maps.
        convs: channels of each 3 x 3 x 3 convolution.
        context: frames stacked, the newest one the frame itself.
        stride: frames from one to the next.
        momentum: of the batch normalisation.
    """

    def __init__(
        self,
        channels_in: int,
        convs: Sequence[int],
        context: int,
        stride: int,
        momentum: float,
    ) -> None:
        super().__init__()
        self.context = context
        self.stride = stride
        self.convs = nn.Sequential()
        for channels in convs:
            self.convs.extend(conv_norm_relu(channels_in, channels, (3, 3, 3), momentum))
            channels_in = channels

    def past_frames(self, frames: int) -> Tensor:
        """Which frames each frame is seen with, oldest first: (T, context) int, at least 0."""
        back = self.stride * torch.arange(self.context - 1, -1, -1)
        number = torch.arange(frames)[:, None] - back
        return number.clamp(min=0)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, T, channels)."""
        clips, _, frames = maps.shape[:3]
        past = self.past_frames(frames).to(maps.device)
        stacks = maps.transpose(1, 2)[:, past]  # (B, T, context, C, H, W)
        stacks = stacks.flatten(0, 1).transpose(1, 2)  # (B * T, C, context, H, W)
        features = self.convs(stacks).amax((2, 3, 4))  # (B * T, channels)
        return features.unflatten(0, (clips, frames))


def _base(
    channels_in: int,
    stem: Sequence[int],
    blocks: Sequence[int],
    momentum: float,
) -> nn.Sequential:
    """The convolutions of single frames; arguments as those of ``FrameEmbedder``."""
    channels, kernel, stride = stem
    base = nn.Sequential()
    convolution = conv_norm_relu(channels_in, channels, (1, kernel, kernel), momentum, stride)
    pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
    base.add_module("stem", nn.Sequential(*convolution, pool))
    channels_in = channels
    for number, channels in enumerate(blocks, start=1):
        block = nn.Sequential(*conv_norm_relu(channels_in, channels, (1, 3, 3), momentum))
        block.extend(conv_norm_relu(channels, channels, (1, 3, 3), momentum))
        if number < len(blocks):
            block.append(nn.MaxPool3d((1, 2, 2), ceil_mode=True))
        base.add_module(f"block{number}", block)
        channels_in = channels
    return base


class FrameEmbedder(nn.Module):
    """A vector for every frame.

    Args:
        clip_shape: (C, T, H, W).
        stem: channels, kernel and stride over H and W of the first convolution, which a 3 x 3
            maximum of stride 2 follows.
        blocks: channels of the blocks of two 3 x 3 convolutions; a 2 x 2 maximum lies between
            blocks.
        context, stride: frames that an embedding sees and their distance; the paper's are 15 frames
            apart.
        convs: channels of the 3-D convolutions.
        dense: units of the dense layers.
        embedding: D.
        dropout: before each dense layer.
        momentum: of the batch normalisation's running statistics.

    Layers: ``base.stem``, ``base.block1`` ... (B, C, T, H, W), ``context``, ``dense.layer1`` ...
    (B, T, units), ``embedding`` (B, T, D).

    Raises:
        ValueError: no context, or a distance below 1.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        stem: Sequence[int] = (64, 7, 2),
        blocks: Sequence[int] = (128, 256, 512),
        context: int = 2,
        stride: int = 15,
        convs: Sequence[int] = (512, 512),
        dense: Sequence[int] = (512, 512),
        embedding: int = 128,
        dropout: float = 0.1,
        momentum: float = 0.01,
    ):
        super().__init__()
        if context < 1 or stride < 1:
            raise ValueError(f"context and stride must be at least 1, got {context} and {stride}")
        self.base = _base(check_clip_shape(clip_shape)[0], stem, blocks, momentum)
        self.context = PastContext(blocks[-1], convs, context, stride, momentum)
        self.dense = nn.Sequential()
        features = convs[-1]
        for number, units in enumerate(dense, start=1):
            layer = nn.Sequential(
                nn.Dropout(dropout), nn.Linear(features, units), nn.ReLU(inplace=True)
            )
            self.dense.add_module(f"layer{number}", layer)
            features = units
        self.embedding = nn.Linear(features, embedding)
        self.layers = (
            *(f"base.{name}" for name, _ in self.base.named_children()),
            "context",
            *(f"dense.{name}" for name, _ in self.dense.named_children()),
            "embedding",
        )
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of every frame.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, T, D); frame t depends on frames up to t alone.
        """
        maps = self.base(2 * clip - 1)  # (B, C, T, H, W)
        in_context = self.context(maps)  # (B, T, F)
        return self.embedding(self.dense(in_context))
