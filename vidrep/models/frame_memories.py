"""Memories of feature maps, for the spatio-temporal autoencoder; see its module."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidrep.models.blocks import same_padding
from vidrep.models.recurrent import ConvLSTM, PeepholeLSTM, State


def frame_conv(channels_in: int, channels: int, kernel: int, frames: int = 1) -> nn.Conv3d:
    """Convolution of each frame, or of the last ``frames`` of them, with same padding in space.

    Weights start Glorot-uniform, biases at 0.
    """
    padding = (0, *same_padding((kernel, kernel)))
    conv = nn.Conv3d(channels_in, channels, (frames, kernel, kernel), padding=padding)
    nn.init.xavier_uniform_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


def _fill(layer: nn.Module, bound: float) -> None:
    """Weights uniform in +-bound, biases 0."""
    for name, parameter in layer.named_parameters():
        if "bias" in name:
            nn.init.zeros_(parameter)
        else:
            nn.init.uniform_(parameter, -bound, bound)


class ConvMemory(nn.Module):
    """ConvLSTM without peepholes.

    Args:
        channels_in: channels of the features.
        channels: of hidden and cell maps.
        kernel: odd side of the convolutions.
        untied: the first step, which has nothing to remember or forget, has weights of its own.
        init: weights start uniform in +- this.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel: int,
        untied: bool,
        init: float,
    ) -> None:
        super().__init__()
        self.cell = ConvLSTM(channels_in, channels, size=None, kernel=kernel)
        self.first = frame_conv(channels_in, 3 * channels, kernel) if untied else None
        _fill(self, init)

    def unroll(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Run over all steps.

        Args:
            features: (B, C, T, h, w).
            state: what earlier steps left; None at the start.

        Returns:
            Maps (B, channels, T, h, w) and the final state.
        """
        if state is not None or self.first is None:
            return self.cell.unroll(features, state)
        gates = self.first(features[:, :, :1]).to(self.first.bias.dtype)
        i, a, o = gates.chunk(3, dim=1)
        cell = torch.sigmoid(i) * torch.tanh(a)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        if features.shape[2] == 1:
            return hidden, (hidden, cell)
        maps, state = self.cell.unroll(features[:, :, 1:], (hidden, cell))
        return torch.cat([hidden, maps], dim=2), state


class DenseMemory(nn.Module):
    """Fully connected LSTM over whole feature maps.

    A linear layer with tanh makes maps of its hidden state. Arguments are those of ``ConvMemory``,
    and ``size``, (h, w) of the maps.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        size: Sequence[int],
        units: int,
        init: float,
    ) -> None:
        super().__init__()
        height, width = size
        self.cell = PeepholeLSTM(channels_in * height * width, units, peepholes=False)
        self.spread = nn.Linear(units, channels * height * width)
        self.shape = (channels, height, width)
        _fill(self.cell, init)

    def unroll(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        """See ``ConvMemory.unroll``."""
        flat = features.transpose(1, 2).flatten(2)  # (B, T, C * h * w)
        hidden, state = self.cell.unroll(flat, state)  # (B, T, units)
        maps = torch.tanh(self.spread(hidden)).unflatten(2, self.shape)  # (B, T, channels, h, w)
        return maps.transpose(1, 2), state


class NoMemory(nn.Module):
    """A convolution and tanh in place of the memory."""

    def __init__(self, channels_in: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = frame_conv(channels_in, channels, kernel)

    def unroll(self, features: Tensor, state: None) -> tuple[Tensor, None]:
        """See ``ConvMemory.unroll``; there is no state."""
        return torch.tanh(self.conv(features)), None
