"""CNN-M-2048, the network of both streams of the two-stream network, over images from clips.

Simonyan & Zisserman, NIPS 2014, arXiv 1406.2199.

Deviations:
* same padding everywhere and 3x3 pooling with padding, so that 64 px frames still leave 2x2 maps
  before the dense layers;
* local response normalisation with the constants of Krizhevsky et al. (2012), which the paper does
  not state.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidrep.models.blocks import FlattenFrames, same_padding

# channels, kernel, stride, pool of each convolution
CNN_M = (
    (96, 7, 2, 2),
    (256, 5, 2, 2),
    (512, 3, 1, 1),
    (512, 3, 1, 1),
    (512, 3, 1, 2),
)
NORMS = ("local", "batch")


class Stream(nn.Module):
    """A network over single images.

    S images of a clip lie on the time axis, where nothing mixes them.

    Args:
        shape: (C, H, W) of an image.
        samples: images per clip in evaluation.
        convs: (channels, kernel, stride, pool) each; ``pool`` 2 is 3x3 with stride 2, 1 is none.
        dense: widths of the fully connected layers, at least one.
        norm: "local" after the first ``local_norms`` convolutions, or "batch" after all.
        local_norms: see ``norm``.
        dropout: after each fully connected layer.

    Layers: ``conv1`` ... (B, C, S, H, W) after pooling, ``full<n>`` ... (B, S, D), the last one the
    embedding.

    Raises:
        ValueError: a parameter is out of range.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        samples: int = 5,
        convs: Sequence[Sequence[int]] = CNN_M,
        dense: Sequence[int] = (4096, 2048),
        norm: str = "local",
        local_norms: int = 2,
        dropout: float = 0.9,
    ):
        super().__init__()
        if norm not in NORMS or not dense or samples < 1:
            raise ValueError(
                f"norm must be one of {NORMS}, dense not empty, samples positive; got {norm!r},"
                f" {dense}, {samples}"
            )
        self.samples = samples
        channels_in, height, width = shape
        for number, (channels, kernel, stride, pool) in enumerate(convs, start=1):
            norms = []
            if norm == "batch":
                norms = [nn.BatchNorm3d(channels)]
            elif number <= local_norms:
                norms = [local_norm()]
            layer = conv_layer(channels_in, channels, kernel, stride, pool, norms)
            self.add_module(f"conv{number}", layer)
            channels_in = channels
            height = math.ceil(height / (stride * pool))
            width = math.ceil(width / (stride * pool))
        features = channels_in * height * width
        for number, units in enumerate(dense, start=len(convs) + 1):
            layer = nn.Sequential(nn.Linear(features, units), nn.ReLU(), nn.Dropout(dropout))
            if number == len(convs) + 1:
                layer.insert(0, FlattenFrames())
            self.add_module(f"full{number}", layer)
            features = units
        self.layers = tuple(name for name, _ in self.named_children())

    def features(self, images: Tensor) -> Tensor:
        """(B, C, S, H, W) -> (B, S, D)."""
        for name in self.layers:
            images = self.get_submodule(name)(images)
        return images

    def positions(self, batch: int, count: int) -> Tensor:
        """Places out of ``count`` for each of ``batch`` clips.

        Made on the CPU so that every device draws the same ones.

        Returns:
            (B, S) int: a random place in training, up to ``samples`` evenly spaced ones in
            evaluation.
        """
        if self.training:
            return torch.randint(count, (batch, 1))
        places = torch.linspace(0, count - 1, min(self.samples, count)).round().long()
        return places.expand(batch, -1)


def local_norm() -> nn.LocalResponseNorm:
    """The normalisation of Krizhevsky et al.: 5 channels, alpha 1e-4, beta 0.75, k 2.

    Torch divides its own alpha by the number of channels.
    """
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def conv_layer(
    channels_in: int,
    channels: int,
    side: int,
    stride: int,
    pool: int,
    norms: list[nn.Module],
) -> nn.Sequential:
    """Convolution over H and W with same padding -> ReLU -> ``norms`` -> 3x3 max pooling.

    Args:
        channels_in, channels: of the convolution.
        side, stride: of its kernel.
        pool: stride of the pooling; 1 for none.
        norms: what normalises the maps.
    """
    kernel = (1, side, side)
    strides = (1, stride, stride)
    convolution = nn.Conv3d(channels_in, channels, kernel, strides, same_padding(kernel))
    layer = nn.Sequential(convolution, nn.ReLU(inplace=True), *norms)
    if pool != 1:
        layer.append(nn.MaxPool3d((1, 3, 3), stride=(1, pool, pool), padding=(0, 1, 1)))
    return layer
