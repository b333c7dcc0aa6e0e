"""CNN + LSTM: features of single frames, then stacked LSTM layers over time.

After Donahue et al., CVPR 2015, arXiv 1411.4389.

The default is "CNN + LSTM small" of gbpcosta/video_representations: five convolutions, five LSTM
layers of 512 units with peepholes, ReLU in place of tanh, forget bias 1 and Glorot-normal weights.

Deviations from that code: torch's default initialisation of the convolutions; normal instead of
truncated-normal LSTM weights; the classifier heads (per frame and per step) are not part of the
model.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import frame_cnn
from vidrep.models.recurrent import PeepholeLSTM


class CNNLSTM(nn.Module):
    """A convolutional network per frame and an LSTM stack over its features.

    Args:
        clip_shape: (C, T, H, W).
        convs: (channels, kernel, pool) of each convolution over H and W; ``pool`` 1 means none.
        units: of each LSTM layer.
        num_layers: LSTM layers.
        momentum: of the batch normalisation's running statistics.

    Layers: ``cnn.conv1`` ... (B, C, T, H, W) after their pooling, ``lstm.layer1`` ... (B, T,
    units), the last one the embedding.

    Raises:
        ValueError: the frames are too small for the pooling.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        convs: Sequence[Sequence[int]] = (
            (64, 7, 2),
            (64, 3, 1),
            (128, 3, 2),
            (128, 3, 2),
            (256, 3, 2),
        ),
        units: int = 512,
        num_layers: int = 5,
        momentum: float = 0.01,
    ):
        super().__init__()
        self.cnn, features = frame_cnn(clip_shape, convs, momentum)
        self.lstm = nn.Sequential()
        for number in range(1, num_layers + 1):
            layer = PeepholeLSTM(features, units, activation="relu", forget_bias=1.0)
            self.lstm.add_module(f"layer{number}", layer)
            features = units
        convolutions = [name for name, _ in self.cnn.named_children() if name != "flatten"]
        recurrent = [name for name, _ in self.lstm.named_children()]
        self.layers = (
            *(f"cnn.{name}" for name in convolutions),
            *(f"lstm.{name}" for name in recurrent),
        )

    def frame_features(self, clip: Tensor) -> Tensor:
        """Features of each frame on its own: (B, C, T, H, W) in [0, 1] -> (B, T, F)."""
        return self.cnn(clip)

    def sequence(self, frames: Tensor) -> Tensor:
        """The LSTM stack: frame features (B, T, F) -> (B, T, units)."""
        return self.lstm(frames)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding at every step.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, T, units); the last step has seen the whole clip.
        """
        return self.sequence(self.frame_features(clip))
