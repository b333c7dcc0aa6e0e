"""Recurrent autoencoders: an encoder over frames, a code for every step, a decoder of the codes.

The default is "LSTM AE" of gbpcosta/video_representations (LSTM of 2048 units with peepholes and
ReLU, codes of 1024); with ``cell: gru`` its "GRU AE". The decoder, which ``make_decoder`` builds
and objectives own, starts from the encoder's last state and reads the codes in the order of time;
what it puts out first is the last frame. Its cell is linear.

Choices where the source is silent: forget bias 1 (TensorFlow's), Glorot-normal weights.
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from vidrep.models.blocks import FlattenFrames, check_clip_shape
from vidrep.models.gru import GRU
from vidrep.models.recurrent import PeepholeLSTM

CELLS = ("lstm", "gru")


def make_cell(name: str, input_size: int, units: int, activation: str) -> nn.Module:
    """A layer with ``unroll(inputs, state) -> (sequence, state)``.

    Raises:
        ValueError: an unknown name.
    """
    if name == "lstm":
        return PeepholeLSTM(input_size, units, activation=activation, forget_bias=1.0)
    if name == "gru":
        return GRU(input_size, units, activation=activation)
    raise ValueError(f"cell must be one of {', '.join(CELLS)}, got {name!r}")


class RecurrentAutoencoder(nn.Module):
    """Encoder and codes.

    Args:
        clip_shape: (C, T, H, W).
        cell: lstm (peepholes) or gru.
        units: of encoder and decoder.
        code: size of a step's code.
        activation: of the encoder's cell: relu, tanh or linear.

    Layers: ``hidden`` (B, T, units), ``codes`` (B, T, code), ``embedding`` (B, code), the code of
    the last frame.

    Raises:
        ValueError: an unknown cell or activation.
    """

    inputs = ("clip",)
    layers = ("hidden", "codes", "embedding")

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        cell: str = "lstm",
        units: int = 2048,
        code: int = 1024,
        activation: str = "relu",
    ):
        super().__init__()
        channels, _, *self.size = check_clip_shape(clip_shape)
        self.channels = channels
        self.cell = cell
        self.units = units
        self.code = code
        self.flatten = FlattenFrames()
        height, width = self.size
        self.encoder = make_cell(cell, channels * height * width, units, activation)
        self.hidden = nn.Identity()  # the encoder yields its sequence and its state
        self.codes = nn.Linear(units, code)
        self.embedding = nn.Identity()

    def encode(self, clip: Tensor) -> tuple[Tensor, object]:
        """What the decoder takes.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            Codes (B, T, code) and the encoder's last state.
        """
        sequence, state = self.encoder.unroll(self.flatten(clip))
        codes = self.codes(self.hidden(sequence))
        self.embedding(codes[:, -1])  # so that it is seen whoever calls
        return codes, state

    def forward(self, clip: Tensor) -> Tensor:
        """The code of the last frame (B, code)."""
        codes, _ = self.encode(clip)
        return codes[:, -1]

    def make_decoder(self) -> nn.Module:
        """A decoder of what ``encode`` gives."""
        return RecurrentDecoder(self.cell, self.units, self.code, (self.channels, *self.size))


class RecurrentDecoder(nn.Module):
    """A linear cell over the codes and a dense layer to frames, last frame first.

    Args:
        cell, units, code: as of the encoder.
        frame: (C, H, W).
    """

    def __init__(self, cell: str, units: int, code: int, frame: tuple[int, int, int]):
        super().__init__()
        self.frame = frame
        self.cell = make_cell(cell, code, units, "linear")
        self.readout = nn.Linear(units, prod(frame))

    def forward(self, encoded: tuple[Tensor, object]) -> Tensor:
        """Logits (B, C, T, H, W), in the order of time."""
        codes, state = encoded
        backwards, _ = self.cell.unroll(codes, state)  # (B, T, units), last frame first
        values = self.readout(backwards.flip(1))  # (B, T, C * H * W)
        return values.unflatten(2, self.frame).transpose(1, 2)
