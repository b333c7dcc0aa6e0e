"""Spatio-temporal autoencoder with differentiable memory.

Patraucean, Handa & Cipolla, ICLR workshop 2016, arXiv 1511.06309.

A convolution encodes each frame, a convolutional LSTM remembers, and a flow head on the memory says
from where every place of the next frame takes its content: the encoded current frame, warped by
that flow, is what the next frame is decoded from. The decoder belongs to the objective
(``vidrep.objectives.next_frame``). Sizes, initial weights, the untied first step and the zero flow
at the start are those of viorik/ConvLSTM. The ablations of the paper are parameters: without flow
(AE-ConvLSTM), a fully connected memory (AE-fcLSTM), no memory but a stack of frames (AE-Conv).

The flow is clamped at a quarter of the maps' sides, so no motion of more than a quarter of the
frame's sides in one step can be predicted: 16 px for frames of 64 px, 5 px for 20 px.

Deviations and choices of our own:
* the released code multiplies the flow by 2/H but samples on a grid of 2/(H-1), 3 % off at 32 px;
  here pixels are exact;
* the scaling constants are no weights, so training cannot move them;
* the encoder pools before its tanh, which gives the same maps for a quarter of the work;
* the sizes of the ablations are ours: without memory a convolution of the memory's kernel and width
  stands in its place; the fully connected LSTM reads all features and a linear layer with tanh
  makes maps of its state;
* narrow networks have few inputs a unit, with which weights in +-0.08 make a weak memory: ``init``
  sets the bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape, pooled
from vidrep.models.frame_memories import ConvMemory, DenseMemory, NoMemory, frame_conv
from vidrep.models.warp import warp

REACH = 1 / 4  # the released clamp, +-0.5 where a side counts 2
MEMORIES = ("conv", "dense", "none")


class Clamp(nn.Module):
    """Flow (B, 2, T, h, w) kept within ``REACH`` of the maps' width (x) and height (y)."""

    def forward(self, flow: Tensor) -> Tensor:
        x, y = flow.float().split(1, dim=1)
        height, width = flow.shape[3:]
        x = x.clamp(-REACH * width, REACH * width)
        y = y.clamp(-REACH * height, REACH * height)
        return torch.cat([x, y], dim=1)


def flow_head(channels_in: int, kernel: int) -> nn.Sequential:
    """From maps to backward flow in pixels of the maps, at first none.

    Two large linear convolutions, then one of 1 x 1 that starts at zero.
    """
    last = frame_conv(2, 2, 1)
    nn.init.zeros_(last.weight)
    return nn.Sequential(
        frame_conv(channels_in, 2, kernel), frame_conv(2, 2, kernel), last, Clamp()
    )


@dataclass(frozen=True)
class Steps:
    """What the network makes of T frames.

    Attributes:
        features: encoded frames (B, C, T, h, w).
        memory: output of the memory (B, M, T, h, w).
        flow: (B, 2, T, h, w), channels (x, y), in pixels of the maps: from where each place of the
            next frame takes its content; None in a network without flow.
        state: what to continue from.
    """

    features: Tensor
    memory: Tensor
    flow: Tensor | None
    state: tuple

    def since(self, step: int) -> "Steps":
        """The steps from ``step`` on, counted as in slices."""
        return Steps(
            features=self.features[:, :, step:],
            memory=self.memory[:, :, step:],
            flow=None if self.flow is None else self.flow[:, :, step:],
            state=self.state,
        )

    def followed_by(self, later: "Steps") -> "Steps":
        """These steps and those that continued from their state, as if unrolled at once."""
        return Steps(
            features=torch.cat([self.features, later.features], dim=2),
            memory=torch.cat([self.memory, later.memory], dim=2),
            flow=None if self.flow is None else torch.cat([self.flow, later.flow], dim=2),
            state=later.state,
        )


class SpatioTemporalAutoencoder(nn.Module):
    """Encoder, memory and flow head.

    Args:
        clip_shape: (C, T, H, W).
        channels: of the encoder.
        memory_channels: of the memory's output.
        kernel: side of the encoder's convolution.
        memory_kernel: side of the memory's convolutions.
        flow_kernel: side of the flow head's large convolutions; None for a network without flow.
        memory: conv, dense or none.
        untied: a first step of its own in the convolutional memory.
        units: of the dense memory's LSTM.
        init: the weights of an LSTM start uniform in +- this.
        stack: frames that the encoder sees at once, the current one and those before it; what came
            before the clip is black.
        pool: the maps' sides are those of the frames divided by this.

    Layers: ``encoder`` (B, channels, T, H/pool, W/pool), ``memory`` (B, memory_channels, T, ...),
    ``flow`` (B, 2, T, ...) if there is a head, backward and in pixels of the maps, then
    ``embedding`` (B, memory_channels): the memory's output at the last frame, averaged over space.
    The flow head does not lead to the embedding: it is frozen until an objective thaws it.

    Raises:
        ValueError: an unknown memory, or frames smaller than the pool.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        channels: int = 32,
        memory_channels: int = 45,
        kernel: int = 7,
        memory_kernel: int = 7,
        flow_kernel: int | None = 15,
        memory: str = "conv",
        untied: bool = True,
        units: int = 256,
        init: float = 0.08,
        stack: int = 1,
        pool: int = 2,
    ):
        super().__init__()
        colours, *size = check_clip_shape(clip_shape)
        _, *map_size = pooled(size, (1, pool, pool))
        if memory not in MEMORIES:
            raise ValueError(f"memory is {memory!r}; give one of {', '.join(MEMORIES)}")
        self.stack = stack
        self.pool = pool
        self.encoder = nn.Sequential(
            frame_conv(colours, channels, kernel, stack), nn.MaxPool3d((1, pool, pool)), nn.Tanh()
        )
        if memory == "conv":
            self.recurrence = ConvMemory(channels, memory_channels, memory_kernel, untied, init)
        elif memory == "dense":
            self.recurrence = DenseMemory(channels, memory_channels, map_size, units, init)
        else:
            self.recurrence = NoMemory(channels, memory_channels, memory_kernel)
        # the recurrence yields maps and state; here the maps can be read off
        self.memory = nn.Identity()
        self.flow = None
        self.map_channels = memory_channels
        self.layers = ("encoder", "memory", "embedding")
        if flow_kernel is not None:
            self.flow = flow_head(memory_channels, flow_kernel).requires_grad_(False)
            self.map_channels = channels
            self.layers = ("encoder", "memory", "flow", "embedding")
        self.embedding = nn.Identity()

    def unroll(self, clip: Tensor, state: tuple | None = None) -> Steps:
        """Run over frames.

        Args:
            clip: (B, C, T, H, W) in [0, 1].
            state: what earlier frames left; None at the start.
        """
        if state is None:
            before = clip.new_zeros(*clip.shape[:2], self.stack - 1, *clip.shape[3:])
            memory = None
        else:
            before, memory = state
        frames = torch.cat([before, clip], dim=2)
        features = self.encoder(frames)
        maps, memory = self.recurrence.unroll(features, memory)
        maps = self.memory(maps)
        flow = None if self.flow is None else self.flow(maps)
        last_frames = frames[:, :, frames.shape[2] - self.stack + 1 :]
        return Steps(features, maps, flow, state=(last_frames, memory))

    def next_maps(self, steps: Steps) -> Tensor:
        """What the next frames are decoded from: warped features, without flow the memory.

        Returns:
            (B, map_channels, T, h, w).
        """
        if steps.flow is None:
            return steps.memory
        return warp(steps.features, steps.flow)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, memory_channels).
        """
        last_maps = self.unroll(clip).memory[:, :, -1]  # (B, memory_channels, h, w)
        return self.embedding(last_maps.mean((2, 3)))
