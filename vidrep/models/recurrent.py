"""Recurrent layers that run over whole clips: LSTM with peepholes and ConvLSTM.

The half of the gates that depends on the input is computed for all steps at once; only the
recurrent half is a loop. Gates lie in the order i, f, a, o (input, forget, candidate, output). The
input and forget gates see the old cell through the peepholes, the output gate the new one. Cell
states keep the precision of the parameters, also under autocast.

References: peepholes, Gers et al., JMLR 2002; gate order, mansimov/unsupervised-videos; ConvLSTM,
Shi et al., NIPS 2015, arXiv 1506.04214.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidrep.models.blocks import same_padding

State = tuple[Tensor, Tensor]  # hidden, cell

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "linear": lambda values: values}


def find_activation(name: str):
    """The function called ``name``; unknown names raise ValueError."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]


def _update(gates: Tensor, cell: Tensor, peepholes: Tensor | None, activation) -> State:
    """One step of the cell: gates (B, 4F, ...), cell (B, F, ...), peepholes (3, F, ...) for i, f,
    o.
    """
    i, f, a, o = gates.to(cell.dtype).chunk(4, dim=1)
    if peepholes is not None:
        i = i + peepholes[0] * cell
        f = f + peepholes[1] * cell
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * activation(a)
    if peepholes is not None:
        o = o + peepholes[2] * cell
    return torch.sigmoid(o) * activation(cell), cell


def join_states(states: list[State]) -> Tensor:
    """States of L layers, hidden and cell (B, F) each, as one tensor (B, L * 2 * F) in the order
    h1, c1, h2, c2, ...
    """
    return torch.cat([part for state in states for part in state], dim=1)


def split_states(joined: Tensor, units: int) -> list[State]:
    """The inverse of ``join_states``: (B, L * 2 * units) -> L pairs of (B, units)."""
    parts = joined.split(units, dim=1)
    return list(zip(parts[0::2], parts[1::2], strict=True))


class PeepholeLSTM(nn.Module):
    """One LSTM layer.

    Args:
        input_size: features per step; 0 for a layer that only ever runs from its state and has no
            input weights.
        units: size of hidden and cell state.
        peepholes: diagonal peepholes on the three gates.
        activation: tanh, relu or linear, of the candidate and of the cell's output.
        forget_bias: initial bias of the forget gate; the others start at 0.
        init: a key of ``LSTM_INIT``.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        *,
        peepholes: bool = True,
        activation: str = "tanh",
        forget_bias: float = 0.0,
        init: str = "glorot_normal",
    ):
        super().__init__()
        self.units = units
        self.activation = find_activation(activation)
        self.weight_input = nn.Parameter(torch.empty(4 * units, input_size)) if input_size else None
        self.weight_hidden = nn.Parameter(torch.empty(4 * units, units))
        self.bias = nn.Parameter(torch.zeros(4 * units))
        self.peepholes = nn.Parameter(torch.empty(3, units)) if peepholes else None
        LSTM_INIT[init](self)
        nn.init.constant_(self.bias[units : 2 * units], forget_bias)

    def zero_state(self, batch: int) -> State:
        """Hidden and cell state (batch, units) of zeros."""
        zeros = self.bias.new_zeros(batch, self.units)
        return zeros, zeros

    def forward(self, inputs: Tensor) -> Tensor:
        """Hidden states from a zero state: (B, T, D) -> (B, T, units)."""
        return self.unroll(inputs)[0]

    def unroll(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over all steps.

        Args:
            inputs: (B, T, D).
            state: hidden and cell (B, units) to start from; zeros if left out.

        Returns:
            Hidden states (B, T, units) and the final state.
        """
        return self._run(
            F.linear(inputs, self.weight_input, self.bias).unbind(1),
            state or self.zero_state(len(inputs)),
        )

    def unroll_free(self, steps: int, state: State) -> tuple[Tensor, State]:
        """Run ``steps`` steps from ``state`` without input; returns what ``unroll`` returns."""
        return self._run([self.bias] * steps, state)

    def step(self, inputs: Tensor | None, state: State) -> State:
        """One step: inputs (B, D), or None for a step without input; state and result are hidden
        and cell (B, units).
        """
        return self._advance(
            self.bias if inputs is None else F.linear(inputs, self.weight_input, self.bias), state
        )

    def _run(self, drives, state: State) -> tuple[Tensor, State]:
        hidden = []
        for drive in drives:
            state = self._advance(drive, state)
            hidden.append(state[0])
        return torch.stack(hidden, dim=1), state  # (B, T, units)

    def _advance(self, drive: Tensor, state: State) -> State:
        return _update(
            drive + F.linear(state[0], self.weight_hidden),
            state[1],
            self.peepholes,
            self.activation,
        )


def _glorot_normal(layer: PeepholeLSTM) -> None:
    """Glorot-normal over the joint matrix of input and recurrent weights, as in TensorFlow;
    peepholes by their length.
    """
    inputs = 0 if layer.weight_input is None else layer.weight_input.shape[1]
    std = (2 / (inputs + layer.units + 4 * layer.units)) ** 0.5
    _fill(
        layer,
        lambda weight: nn.init.normal_(weight, std=std),
        lambda peep: nn.init.normal_(peep, std=layer.units**-0.5),
    )


def _small_uniform(layer: PeepholeLSTM) -> None:
    """Weights in +-0.01, peepholes in +-0.1 (mansimov/unsupervised-videos)."""
    _fill(
        layer,
        lambda weight: nn.init.uniform_(weight, -0.01, 0.01),
        lambda peep: nn.init.uniform_(peep, -0.1, 0.1),
    )


def _fill(layer: PeepholeLSTM, fill_weight, fill_peepholes) -> None:
    if layer.weight_input is not None:
        fill_weight(layer.weight_input)
    fill_weight(layer.weight_hidden)
    if layer.peepholes is not None:
        fill_peepholes(layer.peepholes)


LSTM_INIT = {"glorot_normal": _glorot_normal, "small_uniform": _small_uniform}


class ConvLSTM(nn.Module):
    """One ConvLSTM layer: same convolutions of input and hidden map, if wanted peepholes with one
    weight per place and channel.

    Weights start Glorot-uniform, peepholes and biases at 0, the bias of the forget gate at 1.

    Args:
        channels_in: channels of the input.
        channels: channels of hidden and cell maps.
        size: (H, W) of the maps, for the peepholes; None for a layer without, which runs on maps of
            any size.
        kernel: odd side length of both convolutions.
        activation: tanh or relu, of the candidate and of the cell's output.
    """

    def __init__(
        self,
        channels_in: int,
        channels: int,
        *,
        size: tuple[int, int] | None,
        kernel: int = 3,
        activation: str = "tanh",
    ):
        super().__init__()
        self.channels = channels
        self.activation = find_activation(activation)
        pad = same_padding((kernel,))[0]
        self.conv_input = nn.Conv3d(
            channels_in, 4 * channels, (1, kernel, kernel), padding=(0, pad, pad)
        )
        # Single steps keep a time axis of length 1: with all weights 5-D the whole network can be
        # set to channels_last_3d.
        self.conv_hidden = nn.Conv3d(
            channels, 4 * channels, (1, kernel, kernel), padding=(0, pad, pad), bias=False
        )
        self.peepholes = None if size is None else nn.Parameter(torch.zeros(3, channels, 1, *size))
        nn.init.xavier_uniform_(self.conv_input.weight)
        nn.init.xavier_uniform_(self.conv_hidden.weight)
        nn.init.zeros_(self.conv_input.bias)
        nn.init.ones_(self.conv_input.bias[channels : 2 * channels])

    def forward(self, inputs: Tensor) -> Tensor:
        """Hidden maps from a zero state: (B, channels_in, T, H, W) -> (B, channels, T, H, W)."""
        return self.unroll(inputs)[0]

    def unroll(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over all steps.

        Args:
            inputs: (B, channels_in, T, H, W).
            state: hidden and cell maps (B, channels, 1, H, W) to start from; zeros if left out.

        Returns:
            Hidden maps (B, channels, T, H, W) and the final state.
        """
        drives = self.conv_input(inputs).split(1, dim=2)  # T times (B, 4 * channels, 1, H, W)
        zero = self.conv_input.bias.new_zeros(len(inputs), self.channels, 1, *inputs.shape[3:])
        hidden, cell = state or (None, zero)
        sequence = []
        for drive in drives:
            gates = drive if hidden is None else drive + self.conv_hidden(hidden)
            hidden, cell = _update(gates, cell, self.peepholes, self.activation)
            sequence.append(hidden)
        return torch.cat(sequence, dim=2), (hidden, cell)
