"""LSTM encoder: reads flattened frames, its final state represents the video (Srivastava et al., ICML 2015, arXiv 1502.04681).

The default is the released Moving MNIST encoder of mansimov/unsupervised-videos: one layer of 2048 units, peepholes, tanh, zero
biases, weights from +-0.01 and peepholes from +-0.1. Decoders belong to objectives; they start from
``vidrep.models.recurrent.split_states(embedding, model.units)``, one state per layer.

Deviations: none in the encoder. In colour the vector of a frame holds the channels one after the other.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import FlattenFrames, check_clip_shape
from vidrep.models.recurrent import PeepholeLSTM, join_states


class LSTMEncoder(nn.Module):
    """Stacked LSTM layers over frames as vectors.

    Args:
        clip_shape: (C, T, H, W).
        units: of each layer.
        num_layers: LSTM layers.

    Layers: ``lstm1`` ... (B, T, units) hidden states, then ``embedding`` (B, num_layers * 2 * units): hidden and cell state of
    layer 1 after the last frame, those of layer 2, ...
    """

    inputs = ("clip",)

    def __init__(self, clip_shape: Sequence[int], *, units: int = 2048, num_layers: int = 1):
        super().__init__()
        channels, _, height, width = check_clip_shape(clip_shape)
        self.units, self.num_layers = units, num_layers
        self.flatten = FlattenFrames()
        sizes = [channels * height * width] + [units] * (num_layers - 1)
        self.cells = nn.ModuleList(PeepholeLSTM(size, units, init="small_uniform") for size in sizes)
        self.layers = (*(f"lstm{number + 1}" for number in range(num_layers)), "embedding")
        # A cell yields its sequence and its state; these let the sequence and the embedding be read off as single tensors.
        for name in self.layers:
            self.add_module(name, nn.Identity())

    def forward(self, clip: Tensor) -> Tensor:
        """Final state of all layers.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, num_layers * 2 * units).
        """
        sequence, states = self.flatten(clip), []  # (B, T, C * H * W)
        for name, cell in zip(self.layers, self.cells, strict=False):
            sequence, state = cell.unroll(sequence)
            sequence = self.get_submodule(name)(sequence)
            states.append(state)
        return self.embedding(join_states(states))
