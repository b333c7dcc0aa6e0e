"""LSTM encoder: reads flattened frames, its final state represents the video.

Srivastava et al., ICML 2015, arXiv 1502.04681.

The default is the released Moving MNIST encoder of mansimov/unsupervised-videos: one layer of 2048
units, peepholes, tanh, zero biases, weights from +-0.01 and peepholes from +-0.1. Decoders belong
to objectives; they start from ``vidrep.models.recurrent.split_states(embedding, model.units)``, one
state per layer.

With ``output: sequence`` it is the paper's network for classification: the hidden states of all
steps are the embedding, so a classifier sits at every step. Its parameters have the same names and
shapes, so it starts from the weights of any run of the encoder with the same units and layers.

These numbers are for 2048 units: with a few hundred the input hardly moves the cell, and the first
epochs go by before it does. ``init: glorot`` is for such: Glorot-uniform weights, peepholes at 0,
forget gates open (bias 1).

Deviations: none in the encoder with ``init: published``. In colour the vector of a frame holds the
channels one after the other.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import FlattenFrames, check_clip_shape
from vidrep.models.recurrent import INITS, PeepholeLSTM, join_states

OUTPUTS = ("state", "sequence")


class LSTMEncoder(nn.Module):
    """Stacked LSTM layers over frames as vectors.

    Args:
        clip_shape: (C, T, H, W).
        units: of each layer.
        num_layers: LSTM layers.
        output: what the embedding is: the final ``state`` of all layers, or the ``sequence`` of the
            last layer's hidden states.
        dropout: share of a layer's outputs that the next layer, or the reader of a sequence, does
            not get in training. The recurrent connections and the final state keep all.
        init: a key of ``vidrep.models.recurrent.INITS``, which decoders of the state take over.

    Layers: ``lstm1`` ... (B, T, units) hidden states, the last one the embedding of a ``sequence``;
    of a ``state`` then ``embedding`` (B, num_layers * 2 * units): hidden and cell state of layer 1
    after the last frame, those of layer 2, ...

    Raises:
        ValueError: an unknown output or init, or sizes that are not positive.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        units: int = 2048,
        num_layers: int = 1,
        output: str = "state",
        dropout: float = 0.0,
        init: str = "published",
    ):
        super().__init__()
        channels, _, height, width = check_clip_shape(clip_shape)
        if output not in OUTPUTS or num_layers < 1 or not 0 <= dropout < 1:
            raise ValueError(
                f"output must be one of {', '.join(OUTPUTS)}, num_layers positive, dropout in [0,"
                f" 1); got {output!r}, {num_layers}, {dropout}"
            )
        if init not in INITS:
            raise ValueError(f"init must be one of {', '.join(INITS)}, got {init!r}")
        self.init = init
        self.units = units
        self.num_layers = num_layers
        self.output = output
        self.flatten = FlattenFrames()
        self.drop = nn.Dropout(dropout)
        sizes = [channels * height * width] + [units] * (num_layers - 1)
        self.cells = nn.ModuleList(PeepholeLSTM(size, units, **INITS[init]) for size in sizes)
        self.layers = tuple(f"lstm{number}" for number in range(1, num_layers + 1))
        if output == "state":
            self.layers += ("embedding",)
        # A cell yields its sequence and its state; these let the sequence and the embedding be read
        # off as single tensors.
        for name in self.layers:
            self.add_module(name, nn.Identity())

    def frame_vectors(self, clip: Tensor) -> Tensor:
        """Frames as the vectors that the LSTM reads: (B, C, T, H, W) -> (B, T, C * H * W)."""
        return self.flatten(clip)

    def encode(self, vectors: Tensor) -> Tensor:
        """The embedding of frames as vectors (B, T, F); see ``forward``."""
        sequence = vectors
        states = []
        for number, cell in enumerate(self.cells, start=1):
            hidden, state = cell.unroll(sequence)
            sequence = self.drop(self.get_submodule(f"lstm{number}")(hidden))
            states.append(state)
        if self.output == "sequence":
            return sequence
        return self.embedding(join_states(states))

    def forward(self, clip: Tensor) -> Tensor:
        """Final state of all layers, or the last layer's hidden states.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, num_layers * 2 * units), or (B, T, units) of a ``sequence``.
        """
        return self.encode(self.frame_vectors(clip))
