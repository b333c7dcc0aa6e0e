"""CNN-M-2048, the network of both streams of Simonyan & Zisserman (NIPS 2014, arXiv 1406.2199),
over images sampled from clips.

Deviations:
* same padding everywhere and 3x3 pooling with padding, so that 64 px frames still leave 2x2 maps
  before the dense layers;
* local response normalisation with the constants of Krizhevsky et al. (2012), which the paper does
  not state.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidrep.models.blocks import FlattenFrames, same_padding

CNN_M = ((96, 7, 2, 2), (256, 5, 2, 2), (512, 3, 1, 1), (512, 3, 1, 1), (512, 3, 1, 2))
NORMS = ("local", "batch")


class Stream(nn.Module):
    """A network over single images; S images of a clip lie on the time axis, where nothing mixes
    them.

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
        width, *size = shape
        for number, (channels, kernel, stride, pool) in enumerate(convs, start=1):
            norms = (
                [nn.BatchNorm3d(channels)]
                if norm == "batch"
                else [local_norm()]
                if number <= local_norms
                else []
            )
            self.add_module(
                f"conv{number}", conv_layer(width, channels, kernel, stride, pool, norms)
            )
            width = channels
            size = [-(-side // (stride * pool)) for side in size]
        features = width * size[0] * size[1]
        for number, units in enumerate(dense, start=len(convs) + 1):
            flatten = [FlattenFrames()] if number == len(convs) + 1 else []
            self.add_module(
                f"full{number}",
                nn.Sequential(*flatten, nn.Linear(features, units), nn.ReLU(), nn.Dropout(dropout)),
            )
            features = units
        self.layers = tuple(name for name, _ in self.named_children())

    def features(self, images: Tensor) -> Tensor:
        """(B, C, S, H, W) -> (B, S, D)."""
        for name in self.layers:
            images = self.get_submodule(name)(images)
        return images

    def positions(self, batch: int, count: int) -> Tensor:
        """(B, S) places out of ``count``: one random one in training, up to ``samples`` evenly
        spaced ones in evaluation.

        Made on the CPU so that every device draws the same ones.
        """
        if self.training:
            return torch.randint(count, (batch, 1))
        return (
            torch.linspace(0, count - 1, min(self.samples, count)).round().long().expand(batch, -1)
        )


def local_norm() -> nn.LocalResponseNorm:
    """The normalisation of Krizhevsky et al.: 5 channels, alpha 1e-4 (torch divides its own by the
    size), beta 0.75, k 2.
    """
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def conv_layer(
    width: int, channels: int, side: int, stride: int, pool: int, norms: list[nn.Module]
) -> nn.Sequential:
    """Convolution over H and W with same padding -> ReLU -> ``norms`` -> 3x3 max pooling with
    stride ``pool`` (none for 1).
    """
    kernel = (1, side, side)
    convolution = nn.Conv3d(width, channels, kernel, (1, stride, stride), same_padding(kernel))
    layer = nn.Sequential(convolution, nn.ReLU(inplace=True), *norms)
    if pool != 1:
        layer.append(nn.MaxPool3d((1, 3, 3), stride=(1, pool, pool), padding=(0, 1, 1)))
    return layer
