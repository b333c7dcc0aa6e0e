"""A gated recurrent unit as TensorFlow 1 computes it (Cho et al., EMNLP 2014, arXiv 1406.1078).

``torch.nn.GRU`` resets what the old state contributes after its matrix product, has two biases and
knows tanh alone. Here the old state is reset before the product, there is one bias, and the
candidate's activation can be chosen.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidrep.models.recurrent import find_activation


class GRU(nn.Module):
    """One layer.

    Weights start Glorot-normal, the biases of the gates at 1, that of the candidate at 0.

    Args:
        input_size: features per step.
        units: size of the state.
        activation: tanh, relu or linear, of the candidate.
    """

    def __init__(self, input_size: int, units: int, *, activation: str = "tanh"):
        super().__init__()
        self.units = units
        self.activation = find_activation(activation)
        # rows in the order reset gate, update gate, candidate
        self.weight_input = nn.Parameter(torch.empty(3 * units, input_size))
        self.weight_gates = nn.Parameter(torch.empty(2 * units, units))
        self.weight_candidate = nn.Parameter(torch.empty(units, units))
        self.bias = nn.Parameter(torch.zeros(3 * units))
        nn.init.ones_(self.bias[: 2 * units])
        # TensorFlow has one matrix from input and state to both gates, another one to the
        # candidate: their widths decide the spread.
        input_to_gates, input_to_candidate = self.weight_input.data.split((2 * units, units))
        fan_in = input_size + units
        _glorot_normal(input_to_gates, fan_in)
        _glorot_normal(self.weight_gates, fan_in)
        _glorot_normal(input_to_candidate, fan_in)
        _glorot_normal(self.weight_candidate, fan_in)

    def unroll(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over all steps.

        Args:
            inputs: (B, T, D).
            state: (B, units) to start from; zeros if left out.

        Returns:
            States of all steps (B, T, units), and the last one.
        """
        if state is None:
            state = self.bias.new_zeros(len(inputs), self.units)
        states = []
        drives = F.linear(inputs, self.weight_input, self.bias)  # (B, T, 3 * units)
        for drive in drives.unbind(1):
            state = self._advance(drive, state)
            states.append(state)
        return torch.stack(states, dim=1), state

    def _advance(self, drive: Tensor, state: Tensor) -> Tensor:
        """One step: drive (B, 3 * units), what the input contributes, and state (B, units).

        States keep the precision of the parameters, also under autocast.
        """
        drive = drive.to(state.dtype)
        drive_gates, drive_candidate = drive.split((2 * self.units, self.units), dim=1)
        gates = torch.sigmoid(drive_gates + F.linear(state, self.weight_gates))
        reset, update = gates.to(state.dtype).chunk(2, dim=1)
        from_state = F.linear(reset * state, self.weight_candidate)
        candidate = self.activation(drive_candidate + from_state)
        return (update * state + (1 - update) * candidate).to(state.dtype)


def _glorot_normal(weight: Tensor, fan_in: int) -> None:
    """Normal values; the variance is 2 over the sum of inputs and outputs (rows of ``weight``)."""
    fan_out = len(weight)
    nn.init.normal_(weight, std=(2 / (fan_in + fan_out)) ** 0.5)
