"""Multiply-adds are counted as torch counts them, without the second that its counter costs."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from vidrep.multiply_adds import MultiplyAdds


class Network(nn.Module):
    """A convolution, a recurrent layer, attention and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(1, 4, 3, padding=1)
        self.recurrent = nn.LSTM(4, 6, batch_first=True)
        self.dense = nn.Linear(6, 5)

    def forward(self, clip):
        """Takes (B, 1, T, H, W)."""
        steps = self.convolution(clip).mean((3, 4)).transpose(1, 2)
        states, _ = self.recurrent(steps)
        heads = states[:, None]  # (B, 1, T, D)
        attended = F.scaled_dot_product_attention(heads, heads, heads)
        return self.dense(attended)


def test_counts_are_those_of_torch():
    clip = torch.rand(2, 1, 5, 8, 8)
    network = Network()
    with torch.no_grad(), MultiplyAdds() as ours:
        network(clip)
    cost = 2 * 5 * 64 * 4 * 27 + 2 * 5 * 4 * (4 + 6) * 6 + 2 * (2 * 5 * 5 * 6) + 2 * 5 * 6 * 5
    assert ours.count == cost


def test_counts_on_no_device_are_those_of_torch():
    with torch.device("meta"), torch.no_grad():
        clip = torch.rand(2, 1, 5, 8, 8)
        network = Network()
        with MultiplyAdds() as ours:
            network(clip)
        with FlopCounterMode(display=False) as theirs:
            network(clip)
    assert ours.flops == theirs.get_total_flops()


@pytest.mark.slow
def test_counting_imports_no_compiler():
    code = """
import sys
import torch
from vidrep.multiply_adds import MultiplyAdds

with MultiplyAdds() as counter:
    torch.nn.Linear(3, 4)(torch.rand(2, 3))
print(counter.count, "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "24 False\n"
