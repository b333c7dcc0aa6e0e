"""A published image network on every frame, then recurrent layers over time.

The default is the pretrained variant of "CNN + LSTM small" of gbpcosta/video_representations:
pooled features of MobileNetV2, five LSTM layers of 512 units with peepholes and ReLU in place of
tanh. With ``trunk: digit_cnn`` it is that code's variant with a CNN trained on still digits (after
Donahue et al., CVPR 2015, arXiv 1411.4389).

Deviations from that code: MobileNetV2 has width 1 (there 0.5), the width whose weights are
published everywhere, and gets its own input normalisation (there [0, 1]); normal instead of
truncated-normal LSTM weights.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape
from vidrep.models.recurrent import PeepholeLSTM
from vidrep.models.trunks.trunk import Trunk

CELLS = ("lstm", "gru")


class GRU(nn.GRU):
    """One GRU layer that yields its sequence: (B, T, D) -> (B, T, units)."""

    def forward(self, sequence: Tensor) -> Tensor:
        return super().forward(sequence)[0]


class TrunkRNN(nn.Module):
    """Vectors of single frames by a trunk, a recurrent stack over them.

    Args:
        clip_shape: (C, T, H, W), grey or RGB.
        trunk: vgg19, mobilenet_v2 or digit_cnn.
        image_px: frames with a smaller shorter side are enlarged to it (default 96; digit_cnn: all
            frames become 28 x 28).
        train_trunk: train the trunk too; a frozen one also keeps its batch-norm statistics.
        trunk_params: of the trunk's constructor, e.g. ``width``.
        cell: lstm (peepholes, forget bias 1) or gru.
        activation: of the LSTM's candidate and output, relu or tanh.
        units, num_layers: of the recurrent stack.

    Layers: ``trunk.maps.*`` (B, C, T, H, W), ``trunk.pooled`` (B, T, D), ``rnn.layer1`` ... (B, T,
    units), the last one the embedding.

    Raises:
        ValueError: unknown names, or sizes that do not fit.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        trunk: str = "mobilenet_v2",
        image_px: int | None = None,
        train_trunk: bool = False,
        trunk_params: dict | None = None,
        cell: str = "lstm",
        activation: str = "relu",
        units: int = 512,
        num_layers: int = 5,
    ):
        super().__init__()
        channels, _, *size = check_clip_shape(clip_shape)
        if trunk == "i3d" or cell not in CELLS or num_layers < 1:
            raise ValueError(
                f"trunk must be an image network, cell one of {', '.join(CELLS)}, num_layers"
                f" positive; got {trunk!r}, {cell!r}, {num_layers}"
            )
        self.trunk = Trunk(
            trunk, (channels, *size), image_px=image_px, trained=train_trunk, params=trunk_params
        )
        self.rnn = nn.Sequential()
        features = self.trunk.size
        for number in range(1, num_layers + 1):
            if cell == "gru":
                layer = GRU(features, units, batch_first=True)
            else:
                layer = PeepholeLSTM(features, units, activation=activation, forget_bias=1.0)
            self.rnn.add_module(f"layer{number}", layer)
            features = units
        self.layers = tuple(f"trunk.{name}" for name in self.trunk.layers)
        self.layers += tuple(f"rnn.{name}" for name, _ in self.rnn.named_children())

    def load_pretrained(self, state: dict[str, Tensor], source: object) -> None:
        """Load a published state dict into the trunk; its class scores are left out."""
        self.trunk.load_pretrained(state, source)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding at every step.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, T, units); the last step has seen the whole clip.
        """
        return self.rnn(self.trunk(clip))
