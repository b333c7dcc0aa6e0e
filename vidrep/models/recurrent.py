"""Recurrent layers that run over whole clips: LSTM with peepholes and ConvLSTM.

The half of the gates that depends on the input is computed for all steps at once; only the
recurrent half is a loop. Gates lie in the order i, f, a, o (input, forget, candidate, output). The
input and forget gates see the old cell through the peepholes, the output gate the new one. Cell
states keep the precision of the parameters, also under autocast.

References: peepholes, Gers et al., JMLR 2002; gate order, mansimov/unsupervised-videos; ConvLSTM,
Shi et al., NIPS 2015, arXiv 1506.04214.
"""

from collections.abc import Sequence

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
    """One step of the cell.

    Args:
        gates: (B, 4 * F, ...) before their activation, in the order i, f, a, o.
        cell: (B, F, ...), the old cell state.
        peepholes: (3, F, ...) for i, f, o, or None.
        activation: of the candidate and of the cell's output.

    Returns:
        The new hidden and cell state (B, F, ...).
    """
    i, f, a, o = gates.to(cell.dtype).chunk(4, dim=1)
    if peepholes is not None:
        i = i + peepholes[0] * cell
        f = f + peepholes[1] * cell
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * activation(a)
    if peepholes is not None:
        o = o + peepholes[2] * cell
    hidden = torch.sigmoid(o) * activation(cell)
    return hidden, cell


def join_states(states: list[State]) -> Tensor:
    """States of L layers as one tensor.

    Args:
        states: hidden and cell (B, F) of each layer.

    Returns:
        (B, L * 2 * F) in the order h1, c1, h2, c2, ...
    """
    parts = []
    for hidden, cell in states:
        parts += [hidden, cell]
    return torch.cat(parts, dim=1)


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
        sequence, _ = self.unroll(inputs)
        return sequence

    def unroll(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over all steps.

        Args:
            inputs: (B, T, D).
            state: hidden and cell (B, units) to start from; zeros if left out.

        Returns:
            Hidden states (B, T, units) and the final state.
        """
        drives = F.linear(inputs, self.weight_input, self.bias)  # (B, T, 4 * units)
        if state is None:
            state = self.zero_state(len(inputs))
        return self._run(drives.unbind(1), state)

    def unroll_free(self, steps: int, state: State) -> tuple[Tensor, State]:
        """Run ``steps`` steps from ``state`` without input; returns what ``unroll`` returns."""
        return self._run([self.bias] * steps, state)

    def step(self, inputs: Tensor | None, state: State) -> State:
        """One step.

        Args:
            inputs: (B, D), or None for a step without input.
            state: hidden and cell (B, units).

        Returns:
            The new hidden and cell (B, units).
        """
        drive = self.bias if inputs is None else F.linear(inputs, self.weight_input, self.bias)
        return self._advance(drive, state)

    def _run(self, drives: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """One step for each of ``drives``, what the inputs contribute to the gates."""
        sequence = []
        for drive in drives:
            state = self._advance(drive, state)
            hidden, _ = state
            sequence.append(hidden)
        return torch.stack(sequence, dim=1), state  # (B, T, units)

    def _advance(self, drive: Tensor, state: State) -> State:
        """One step: drive (B, 4 * units) or (4 * units,), hidden and cell (B, units)."""
        hidden, cell = state
        gates = drive + F.linear(hidden, self.weight_hidden)
        return _update(gates, cell, self.peepholes, self.activation)


def _glorot_normal(layer: PeepholeLSTM) -> None:
    """Glorot-normal over the joint matrix of input and recurrent weights, as in TensorFlow.

    Peepholes are normal too, with a variance of 1 over their length.
    """
    inputs = 0 if layer.weight_input is None else layer.weight_input.shape[1]
    fan_in = inputs + layer.units
    fan_out = 4 * layer.units
    std = (2 / (fan_in + fan_out)) ** 0.5
    for weight in _matrices(layer):
        nn.init.normal_(weight, std=std)
    if layer.peepholes is not None:
        nn.init.normal_(layer.peepholes, std=layer.units**-0.5)


def _small_uniform(layer: PeepholeLSTM) -> None:
    """Weights in +-0.01, peepholes in +-0.1 (mansimov/unsupervised-videos)."""
    for weight in _matrices(layer):
        nn.init.uniform_(weight, -0.01, 0.01)
    if layer.peepholes is not None:
        nn.init.uniform_(layer.peepholes, -0.1, 0.1)


def _glorot_uniform(layer: PeepholeLSTM) -> None:
    """Glorot-uniform over each gate's matrix; peepholes at 0."""
    for weight in _matrices(layer):
        for gate in weight.chunk(4):
            nn.init.xavier_uniform_(gate)
    if layer.peepholes is not None:
        nn.init.zeros_(layer.peepholes)


def _matrices(layer: PeepholeLSTM) -> list[Tensor]:
    """The weights from the input, if there is one, and from the hidden state."""
    if layer.weight_input is None:
        return [layer.weight_hidden]
    return [layer.weight_input, layer.weight_hidden]


LSTM_INIT = {
    "glorot_normal": _glorot_normal,
    "glorot_uniform": _glorot_uniform,
    "small_uniform": _small_uniform,
}
# How the LSTM encoder's layers and those of its decoders start: arguments of PeepholeLSTM.
INITS = {
    "published": {"init": "small_uniform"},
    "glorot": {"init": "glorot_uniform", "forget_bias": 1.0},
}


class ConvLSTM(nn.Module):
    """One ConvLSTM layer: same convolutions of input and hidden map.

    Peepholes, if wanted, have one weight per place and channel. Weights start Glorot-uniform,
    peepholes and biases at 0, the bias of the forget gate at 1.

    Args:
        channels_in: channels of the input.
        channels: channels of hidden and cell maps.
        size: (H, W) of the maps, for the peepholes; None for a layer without, which runs on maps of
            any size.
        kernel: odd side length of both convolutions.
        activation: tanh or relu, of the candidate and of the cell's output.
    """

    recurrent = ("conv_hidden.weight", "peepholes")  # not for Muon

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
        maps, _ = self.unroll(inputs)
        return maps

    def unroll(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over all steps.

        Args:
            inputs: (B, channels_in, T, H, W).
            state: hidden and cell maps (B, channels, 1, H, W) to start from; zeros if left out.

        Returns:
            Hidden maps (B, channels, T, H, W) and the final state.
        """
        drives = self.conv_input(inputs)  # (B, 4 * channels, T, H, W)
        if state is None:
            hidden = None
            size = inputs.shape[3:]
            cell = self.conv_input.bias.new_zeros(len(inputs), self.channels, 1, *size)
        else:
            hidden, cell = state
        sequence = []
        for drive in drives.split(1, dim=2):
            gates = drive if hidden is None else drive + self.conv_hidden(hidden)
            hidden, cell = _update(gates, cell, self.peepholes, self.activation)
            sequence.append(hidden)
        return torch.cat(sequence, dim=2), (hidden, cell)
