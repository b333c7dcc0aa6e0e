"""SimVP: convolutions on every frame, a translator that mixes them, a decoder of all at once.

Gao et al., CVPR 2022, arXiv 2206.05099, with the ConvMixer translator of OpenSTL (arXiv
2306.11249), its smallest: 3.9 M weights for 10 frames of 64 x 64 pixels. The encoder keeps H and W
or halves them, in turns; the features of all frames, stacked as channels, pass blocks of a
depthwise and a pointwise convolution; the decoder mirrors the encoder and adds the first layer's
map of input frame i to what becomes future frame i, as the released code does. T frames in give T
frames out; longer futures are predicted T frames at a time, each block from the one before it, and
of a shorter one only the first frames are kept.

Deviations: torch's default weight initialisation; the decoder is made by ``make_decoder`` and
belongs to the objective, so that the model serves objectives that generate nothing.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape

GROUPS = 2  # of the group normalisation, as released


def on_frames(network: nn.Module, maps: Tensor) -> Tensor:
    """A 2-D network on every frame by itself: (B, C, T, H, W) -> (B, C', T, H', W')."""
    frames = maps.transpose(1, 2).flatten(0, 1)  # (B * T, C, H, W)
    frames = network(frames)  # (B * T, C', H', W')
    return frames.unflatten(0, (len(maps), -1)).transpose(1, 2)


def strides(depth: int) -> list[int]:
    """Strides of ``depth`` encoder convolutions: every second one halves H and W."""
    return [1 + number % 2 for number in range(depth)]


class FrameConv(nn.Module):
    """3 x 3 convolution, group normalisation and SiLU on every frame.

    (B, C, T, H, W) -> (B, C', T, H / stride, W / stride).
    """

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        convolution = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1)
        self.block = nn.Sequential(convolution, nn.GroupNorm(GROUPS, channels), nn.SiLU())

    def forward(self, maps: Tensor) -> Tensor:
        return on_frames(self.block, maps)


def up_block(channels: int, stride: int) -> nn.Sequential:
    """The mirror of a ``FrameConv``: shuffles channels into pixels, H and W times ``stride``."""
    convolution = nn.Conv2d(channels, channels * stride**2, 3, padding=1)
    return nn.Sequential(
        convolution, nn.PixelShuffle(stride), nn.GroupNorm(GROUPS, channels), nn.SiLU()
    )


class FrameDecoder(nn.Module):
    """From translated features to frames.

    Args:
        channels: of the features.
        channels_out: of the frames.
        depth: blocks, as many as the encoder has convolutions.
    """

    def __init__(self, channels: int, channels_out: int, depth: int):
        super().__init__()
        *first, last = [up_block(channels, stride) for stride in reversed(strides(depth))]
        self.first = nn.Sequential(*first)
        self.last = nn.Sequential(last, nn.Conv2d(channels, channels_out, 1))

    def forward(self, maps: Tensor, skip: Tensor) -> Tensor:
        """Frames (B, channels_out, t, H, W).

        Args:
            maps: (B, channels, t, h, w), features of the frames.
            skip: (B, channels, t, H, W), what the encoder's first layer made of as many input
                frames.
        """
        features = on_frames(self.first, maps)  # (B, channels, t, H, W)
        return on_frames(self.last, features + skip)


class MixerBlock(nn.Module):
    """ConvMixer block over stacked frames: (B, channels_in, 1, h, w) -> (B, channels, 1, h, w).

    A depthwise convolution with a residual around it, then a pointwise one, each with GELU and
    batch normalisation; a further pointwise convolution where the number of channels changes.
    """

    def __init__(self, channels_in: int, channels: int, kernel: int):
        super().__init__()
        depthwise = nn.Conv2d(channels_in, channels_in, kernel, groups=channels_in, padding="same")
        self.space = nn.Sequential(depthwise, nn.GELU(), nn.BatchNorm2d(channels_in))
        self.mix = nn.Sequential(
            nn.Conv2d(channels_in, channels_in, 1), nn.GELU(), nn.BatchNorm2d(channels_in)
        )
        if channels != channels_in:
            self.mix.append(nn.Conv2d(channels_in, channels, 1))

    def forward(self, maps: Tensor) -> Tensor:
        stacked = maps[:, :, 0]  # (B, channels_in, h, w)
        mixed = self.mix(stacked + self.space(stacked))
        return mixed[:, :, None]


class SpaceMean(nn.Module):
    """Mean over places: (B, D, 1, h, w) -> (B, D)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((2, 3, 4))


class SimVP(nn.Module):
    """Frame convolutions, ConvMixer translator, mean over places.

    Args:
        clip_shape: (C, T, H, W).
        channels: C', of the frame convolutions; even.
        depth: number of frame convolutions; every second one halves H and W.
        translator_channels: between the translator's blocks.
        translator_depth: number of its blocks, at least 2.
        kernel: side of its depthwise convolutions.

    Layers: ``conv1`` ... (B, C', T, h, w); ``mix1`` ... (B, translator_channels, 1, h, w), of which
    the last has the T * C' channels of the future frames' features; ``embedding`` (B, T * C').

    Raises:
        ValueError: sizes out of range, or H and W that cannot be halved so often.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        channels: int = 64,
        depth: int = 4,
        translator_channels: int = 512,
        translator_depth: int = 8,
        kernel: int = 11,
    ):
        super().__init__()
        self.image_channels, self.frames, *size = check_clip_shape(clip_shape)
        self.channels = channels
        self.depth = depth
        too_small = min(channels, depth, translator_channels, kernel) < 1 or translator_depth < 2
        if too_small or channels % GROUPS:
            raise ValueError(
                f"channels ({channels}) must be a multiple of {GROUPS}, translator_depth"
                f" ({translator_depth}) at least 2, and all other sizes at least 1"
            )
        factor = 2 ** (depth // 2)
        if any(side % factor for side in size):
            raise ValueError(
                f"frames of {tuple(size)} pixels cannot be halved {depth // 2} times; sides must be"
                f" multiples of {factor}"
            )
        channels_in = self.image_channels
        for number, stride in enumerate(strides(depth), start=1):
            self.add_module(f"conv{number}", FrameConv(channels_in, channels, stride))
            channels_in = channels
        stacked = self.frames * channels
        widths = [stacked] + [translator_channels] * (translator_depth - 1) + [stacked]
        for number, (before, after) in enumerate(pairwise(widths), start=1):
            self.add_module(f"mix{number}", MixerBlock(before, after, kernel))
        self.embedding = SpaceMean()
        self.layers = tuple(name for name, _ in self.named_children())

    def translate(self, clip: Tensor, *, own: bool = False) -> tuple[Tensor, Tensor]:
        """What the translator makes of a clip.

        Args:
            clip: (B, C, T, H, W).
            own: frames that the network has predicted itself. They go past the hooks, which capture
                what the network makes of true clips.

        Returns:
            The translator's maps (B, T * C', 1, h, w), and the first layer's (B, C', T, H, W).
        """
        maps = clip
        first = None
        for name in self.layers[:-1]:
            if name == "mix1":
                maps = maps.transpose(1, 2).flatten(1, 2)[:, :, None]  # (B, T * C', 1, h, w)
            module = self.get_submodule(name)
            maps = module.forward(maps) if own else module(maps)
            if first is None:
                first = maps
        return maps, first

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, T * C'), frame by frame.
        """
        maps, _ = self.translate(clip)
        return self.embedding(maps)

    def make_decoder(self) -> FrameDecoder:
        """A decoder for ``predict``."""
        return FrameDecoder(self.channels, self.image_channels, self.depth)

    def predict(self, clip: Tensor, steps: int, decoder: FrameDecoder) -> Tensor:
        """The frames that follow a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].
            steps: how many frames to predict.
            decoder: as ``make_decoder`` makes it.

        Returns:
            (B, C, steps, H, W), near [0, 1] but not confined to it.
        """
        blocks = []
        for start in range(0, steps, self.frames):
            maps, first = self.translate(clip, own=start > 0)
            if start == 0:
                self.embedding(maps)  # for hooks, as in ``forward``
            by_frame = maps[:, :, 0].unflatten(1, (self.frames, -1))  # (B, T, C', h, w)
            features = by_frame.transpose(1, 2)
            count = min(self.frames, steps - start)
            clip = decoder(features[:, :, :count], first[:, :, :count])
            blocks.append(clip)
        return torch.cat(blocks, dim=2)
