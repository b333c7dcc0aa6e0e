"""ConvLSTM network: stacked convolutional LSTM layers with spatial pooling between them.

Layers are those of Shi et al., NIPS 2015, arXiv 1506.04214.
gbpcosta/video_representations only sketches this network (3x3 cells of 32-32-64-64-128 channels
with full-map peepholes, forget bias 1 and ReLU; its model function does not run), so the rest is a
choice made here:
* 1x2x2 max pooling after every layer but the last, so that 64x64 frames end in 4x4 maps;
* the embedding is the last layer's hidden map at the last frame, flattened;
* peepholes start at 0, weights Glorot-uniform, no layer normalisation;
* an optional strided convolution per frame in front, for small budgets.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape, pooled
from vidrep.models.recurrent import ConvLSTM


class LastFrame(nn.Module):
    """The maps of the last frame, flattened: (B, C, T, H, W) -> (B, C * H * W)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps[:, :, -1].flatten(1)


class ConvLSTMNet(nn.Module):
    """Optional stem, ConvLSTM layers with pooling, last frame.

    Args:
        clip_shape: (C, T, H, W).
        stages: (channels, pool) of each ConvLSTM layer; ``pool`` divides H and W, 1 means none.
        stem_channels: channels of a 1x3x3 convolution of stride 2 -> ReLU -> BN before the first
            layer; 0 for none.
        activation: of the cells, relu or tanh.

    Layers: ``stem`` if there is one, ``convlstm1`` ... after their pooling, all (B, C, T, H, W),
    then ``embedding`` (B, D).

    Raises:
        ValueError: the frames are too small for the pooling.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        stages: Sequence[Sequence[int]] = ((32, 2), (32, 2), (64, 2), (64, 2), (128, 1)),
        stem_channels: int = 0,
        activation: str = "relu",
    ):
        super().__init__()
        channels_in, *size = check_clip_shape(clip_shape)
        if stem_channels:
            conv = nn.Conv3d(
                channels_in, stem_channels, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)
            )
            self.stem = nn.Sequential(conv, nn.ReLU(inplace=True), nn.BatchNorm3d(stem_channels))
            channels_in = stem_channels
            frames, height, width = size
            size = (frames, (height + 1) // 2, (width + 1) // 2)
        for number, (channels, pool) in enumerate(stages, start=1):
            cell = ConvLSTM(channels_in, channels, size=tuple(size[1:]), activation=activation)
            layer = nn.Sequential(cell)
            channels_in = channels
            size = pooled(size, (1, pool, pool))
            if pool != 1:
                layer.append(nn.MaxPool3d((1, pool, pool)))
            self.add_module(f"convlstm{number}", layer)
        self.embedding = LastFrame()
        self.layers = tuple(name for name, _ in self.named_children())

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, D), D = channels * H * W of the last layer.
        """
        features = clip
        for name in self.layers:
            features = self.get_submodule(name)(features)
        return features
