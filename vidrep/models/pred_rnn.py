"""PredRNN: spatio-temporal LSTM layers with a second memory that zigzags through all of them.

Wang et al., NeurIPS 2017, equations of section 3.1. Beside its own cell every layer updates one
memory shared by all: it rises through the layers within a step and goes from the last layer to the
first one of the next step. Frames are cut into patches that become channels. The numbers are those
of the re-run in OpenSTL (arXiv 2306.11249): four layers of 128 channels, 5 x 5 kernels without
biases, patches of 4 pixels, no layer normalisation; 23.8 M weights.

Because the memory of a step passes all layers before the next step begins, layers cannot be
unrolled one after the other; the first layer's convolution of the observed frames is the only one
that is computed for all steps at once.

Deviations: no scheduled sampling: after the observed frames the network is fed its own outputs, in
training as when scored; torch's default weight initialisation; the readout is made by
``make_decoder`` and belongs to the objective, so that the model serves objectives that generate
nothing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.blocks import check_clip_shape, same_padding

FORGET_BIAS = 1.0
State = tuple[Tensor, Tensor]  # hidden, cell


class SpatioTemporalLSTMCell(nn.Module):
    """One layer at one step.

    Args:
        channels_in: channels of the input maps.
        channels: of hidden state, cell and memory.
        kernel: odd side of the convolutions.
    """

    recurrent = (  # not for Muon
        "conv_hidden.weight",
        "conv_memory.weight",
        "conv_output.weight",
        "conv_last.weight",
    )

    def __init__(self, channels_in: int, channels: int, kernel: int):
        super().__init__()

        def convolution(inputs: int, outputs: int, side: int = kernel) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, side, padding=same_padding((side,))[0], bias=False)

        self.channels = channels
        self.conv_input = convolution(channels_in, 7 * channels)
        self.conv_hidden = convolution(channels, 4 * channels)
        self.conv_memory = convolution(channels, 3 * channels)
        self.conv_output = convolution(2 * channels, channels)
        self.conv_last = convolution(2 * channels, channels, 1)

    def forward(self, drive: Tensor, state: State, memory: Tensor) -> tuple[State, Tensor]:
        """One step.

        Args:
            drive: (B, 7 * F, h, w), ``conv_input`` of the input.
            state: hidden and cell (B, F, h, w) of the step before.
            memory: (B, F, h, w), that of the layer below, or of the last layer at the step before.

        Returns:
            The new state, and the memory as this layer leaves it.
        """
        hidden, cell = state
        dtype = cell.dtype  # states keep the precision of the parameters, also under autocast
        gates = 3 * self.channels
        output = self.channels
        drive_cell, drive_memory, drive_output = drive.to(dtype).split((gates, gates, output), 1)
        hidden_cell, hidden_output = self.conv_hidden(hidden).to(dtype).split((gates, output), 1)
        cell = _update(drive_cell + hidden_cell, cell)
        from_memory = self.conv_memory(memory).to(dtype)
        memory = _update(drive_memory + from_memory, memory)
        both = torch.cat([cell, memory], dim=1)  # (B, 2 * F, h, w)
        from_both = self.conv_output(both).to(dtype)
        output_gate = torch.sigmoid(drive_output + hidden_output + from_both)
        hidden = output_gate * torch.tanh(self.conv_last(both).to(dtype))
        return (hidden, cell), memory


def _update(gates: Tensor, kept: Tensor) -> Tensor:
    """A memory after a step.

    Args:
        gates: (B, 3 * F, h, w) in the order input, forget, candidate.
        kept: (B, F, h, w), the memory before.
    """
    i, f, g = gates.chunk(3, dim=1)
    return torch.sigmoid(f + FORGET_BIAS) * kept + torch.sigmoid(i) * torch.tanh(g)


class LastStepMean(nn.Module):
    """Mean over places at the last step: (B, F, T, h, w) -> (B, F)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps[:, :, -1].mean((2, 3))


class PredRNN(nn.Module):
    """Patches, spatio-temporal LSTM layers, mean over places at the last step.

    Args:
        clip_shape: (C, T, H, W).
        channels: F, of every layer.
        depth: number of layers.
        kernel: odd side of the convolutions.
        patch: side of the patches in pixels; must divide H and W.

    Layers: ``stlstm1`` ... (B, F, T, H / patch, W / patch), their hidden states at all steps;
    ``embedding`` (B, F).

    Raises:
        ValueError: sizes out of range, an even kernel, or frames that cannot be cut into patches.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        channels: int = 128,
        depth: int = 4,
        kernel: int = 5,
        patch: int = 4,
    ):
        super().__init__()
        image_channels, _, *size = check_clip_shape(clip_shape)
        if min(channels, depth, kernel, patch) < 1:
            raise ValueError(
                f"channels, depth, kernel and patch must be at least 1, got {channels}, {depth},"
                f" {kernel}, {patch}"
            )
        if any(side % patch for side in size):
            raise ValueError(
                f"frames of {tuple(size)} pixels cannot be cut into patches of {patch}: use a side"
                " that divides both"
            )
        self.patch = patch
        self.patch_channels = image_channels * patch**2
        widths = [self.patch_channels] + [channels] * depth
        # Cells are called step by step: a layer's whole sequence passes a module of its own, below,
        # where it can be captured.
        self.cells = nn.ModuleList(
            SpatioTemporalLSTMCell(before, channels, kernel) for before in widths[:-1]
        )
        self.layers = (*(f"stlstm{number}" for number in range(1, depth + 1)), "embedding")
        for name in self.layers[:-1]:
            self.add_module(name, nn.Identity())
        self.embedding = LastStepMean()

    def advance(
        self,
        drive: Tensor,
        states: list[State],
        memory: Tensor,
    ) -> tuple[list[State], Tensor]:
        """One step through all layers.

        Args:
            drive: (B, 7 * F, h, w), ``conv_input`` of the first layer's input.
            states: hidden and cell (B, F, h, w) of every layer at the step before.
            memory: (B, F, h, w), as the last layer left it at the step before.

        Returns:
            The new states and the memory as the last layer leaves it.
        """
        after = []
        for cell, state in zip(self.cells, states, strict=True):
            if after:
                hidden_below, _ = after[-1]
                drive = cell.conv_input(hidden_below)
            state, memory = cell(drive, state, memory)
            after.append(state)
        return after, memory

    def observe(self, clip: Tensor) -> tuple[Tensor, list[State], Tensor]:
        """Run over all frames of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            The embedding (B, F), the states of all layers and the memory after the last step.
        """
        first_cell = self.cells[0]
        patches = F.pixel_unshuffle(clip.transpose(1, 2), self.patch)  # (B, T, P, h, w)
        drives = first_cell.conv_input(patches.flatten(0, 1))  # (B * T, 7 * F, h, w)
        drives = drives.unflatten(0, patches.shape[:2])  # (B, T, 7 * F, h, w)
        zeros = clip.new_zeros(len(clip), first_cell.channels, *patches.shape[-2:])
        states = [(zeros, zeros)] * len(self.cells)
        memory = zeros
        hidden_of_layers = [[] for _ in self.cells]
        for drive in drives.unbind(1):
            states, memory = self.advance(drive, states, memory)
            for steps, (hidden, _) in zip(hidden_of_layers, states, strict=True):
                steps.append(hidden)
        for name, steps in zip(self.layers[:-1], hidden_of_layers, strict=True):
            maps = self.get_submodule(name)(torch.stack(steps, dim=2))  # (B, F, T, h, w)
        return self.embedding(maps), states, memory

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, F).
        """
        embedding, _, _ = self.observe(clip)
        return embedding

    def make_decoder(self) -> nn.Conv2d:
        """A decoder for ``predict``: from the last layer's hidden state to patches."""
        return nn.Conv2d(self.cells[0].channels, self.patch_channels, 1, bias=False)

    def predict(self, clip: Tensor, steps: int, decoder: nn.Module) -> Tensor:
        """The frames that follow a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].
            steps: how many frames to predict.
            decoder: as ``make_decoder`` makes it.

        Returns:
            (B, C, steps, H, W), near [0, 1] but not confined to it.
        """
        _, states, memory = self.observe(clip)
        patches = []
        for step in range(steps):
            if step > 0:
                drive = self.cells[0].conv_input(patches[-1])
                states, memory = self.advance(drive, states, memory)
            hidden, _ = states[-1]
            patches.append(decoder(hidden))  # (B, P, h, w)
        frames = F.pixel_shuffle(torch.stack(patches, dim=1), self.patch)  # (B, steps, C, H, W)
        return frames.transpose(1, 2)
