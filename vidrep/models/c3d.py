"""C3D: plain stacks of 3-D convolutions (Tran et al., ICCV 2015, arXiv 1412.0767).

The default is "C3D small" of gbpcosta/video_representations: nine convolutions, 512 features from
16 x 64 x 64 clips.

Deviations from that code:
* torch's default weight initialisation instead of Keras' Glorot-uniform;
* the classifier head is not part of the model.
"""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape, conv_block, pooled


class C3D(nn.Module):
    """Convolutions ``conv1`` ... ``convN``, and max pooling at the end of every stage.

    A convolution is conv -> ReLU -> batch normalisation.

    Args:
        clip_shape: (C, T, H, W).
        stem: (channels, kernel, pool) of the first convolution; kernel and pool are a number or (T,
            H, W).
        stages: (channels, convolutions, pool) each; kernels are 3x3x3, ``pool`` 1 means none.
        dense: widths of fully connected layers ``fc<N+1>``, ... after the convolutions (the large
            C3D has two).
        dropout: after each fully connected layer.
        momentum: of the batch normalisation's running statistics.

    Layers: ``conv*`` (B, C, T, H, W) *after* the pooling that closes their stage; then
    ``embedding``, the last map flattened to (B, D), or the ``fc*`` (B, D) where there are any.

    Raises:
        ValueError: the clips are too small for the pooling.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        stem: Sequence = (32, (3, 7, 7), (1, 2, 2)),
        stages: Sequence[Sequence] = ((32, 2, 2), (64, 2, 2), (64, 2, 2), (128, 2, 2)),
        dense: Sequence[int] = (),
        dropout: float = 0.5,
        momentum: float = 0.01,
    ):
        super().__init__()
        channels_in, *size = check_clip_shape(clip_shape)
        convs = [tuple(stem)]  # channels, kernel, pool
        for channels, convolutions, pool in stages:
            convs += [(channels, 3, 1)] * (convolutions - 1)
            convs.append((channels, 3, pool))
        for number, (channels, kernel, pool) in enumerate(convs, start=1):
            block = conv_block(channels_in, channels, kernel, pool, momentum)
            self.add_module(f"conv{number}", block)
            channels_in = channels
            size = pooled(size, pool)
        features = channels_in * prod(size)
        if not dense:
            self.embedding = nn.Flatten()
        for number, units in enumerate(dense, start=len(convs) + 1):
            layer = nn.Sequential(
                nn.Flatten(), nn.Linear(features, units), nn.ReLU(), nn.Dropout(dropout)
            )
            self.add_module(f"fc{number}", layer)
            features = units
        self.layers = tuple(name for name, _ in self.named_children())

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, D).
        """
        features = clip
        for name in self.layers:
            features = self.get_submodule(name)(features)
        return features
