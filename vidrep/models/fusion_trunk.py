"""The convolutions of a fusion CNN, and their two normalisations; see ``vidrep.models.fusion``."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.blocks import pooled, same_padding

LRN = (2, 2.0, 1e-4, 0.5)  # Krizhevsky et al., with beta as in the paper
NORMALISED = 2  # the first convolutions are normalised, before their pooling


class LocalResponseNorm(nn.Module):
    """Responses divided by their neighbours' energy.

    maps / (bias + alpha * sum of squares over the channels within ``radius``) ** beta, with the
    arguments of ``tf.nn.local_response_normalization`` (Krizhevsky et al., NIPS 2012). The sum is a
    1 x 1 x 1 convolution with ones in a band, with which slow fusion trains twice as fast on the
    CPU as with torch's module.
    """

    def __init__(self, channels: int, radius: int, bias: float, alpha: float, beta: float):
        super().__init__()
        self.bias = bias
        self.alpha = alpha
        self.beta = beta
        band = torch.ones(channels, channels).triu(-radius).tril(radius)
        self.register_buffer("band", band[:, :, None, None, None], persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C, T, H, W)."""
        energy = F.conv3d(maps.square(), self.band)
        factor = (self.bias + self.alpha * energy) ** -self.beta
        return maps * factor


def initialise(layer: nn.Module) -> None:
    """Glorot-uniform weights and zero biases of a convolution or a linear layer."""
    if isinstance(layer, nn.Conv3d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


def trunk(
    channels: int,
    size: Sequence[int],
    *,
    convs,
    kernels,
    norm: str,
    lrn: Sequence[float],
    padding: str,
) -> tuple[nn.Sequential, int]:
    """The convolutions ``conv1`` ... over a stream.

    Each is conv -> ReLU (-> normalisation) (-> max pooling).

    Args:
        channels: C of the stream.
        size: (T, H, W) of the stream.
        convs: (channels, kernel, stride, pool) each.
        kernels: (extent, stride) over time of the first convolutions; the others have 1, 1.
        norm, lrn, padding: see ``vidrep.models.fusion.FusionCNN``.

    Returns:
        The network and the number of values in its last maps.

    Raises:
        ValueError: the maps become too small.
    """
    layers = nn.Sequential()
    for number, (channels_out, side, stride, pool) in enumerate(convs, start=1):
        extent, hop = kernels[number - 1] if number <= len(kernels) else (1, 1)
        kernel = (extent, side, side)
        strides = (hop, stride, stride)
        pad = (0, *same_padding((side, side))) if padding == "same" else (0, 0, 0)
        convolution = nn.Conv3d(channels, channels_out, kernel, strides, pad)
        after = _convolved(size, kernel, strides, pad)
        if min(after) < 1:
            raise ValueError(
                f"conv{number} of {kernel} (T, H, W) does not fit on maps of {tuple(size)}: use"
                " larger clips"
            )
        layer = nn.Sequential(convolution, nn.ReLU(inplace=True))
        if number <= NORMALISED and norm == "batch":
            layer.append(nn.BatchNorm3d(channels_out))
        elif number <= NORMALISED:
            layer.append(LocalResponseNorm(channels_out, *lrn))
        if pool != 1:
            layer.append(nn.MaxPool3d((1, pool, pool)))
        layers.add_module(f"conv{number}", layer)
        channels = channels_out
        size = pooled(after, (1, pool, pool))
    return layers, channels * prod(size)


def _convolved(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> tuple[int, ...]:
    """Size (T, H, W) after a convolution."""
    after = []
    for side, extent, step, pad in zip(size, kernel, stride, padding, strict=True):
        after.append((side + 2 * pad - extent) // step + 1)
    return tuple(after)
