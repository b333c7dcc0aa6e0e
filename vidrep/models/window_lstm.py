"""A 3-D ConvNet on sliding windows, then an LSTM over its features.

Baccouche et al., HBU 2011, LNCS 7065, hal-01354493.

The default is the network of the paper: windows of 9 frames; of 34 x 54 px its last convolution
leaves 5 maps of 3 x 8, which are the 120 features of a window.

All convolutions are valid and nothing strides or pools over time. So one pass over a clip of T
frames computes all its T - 8 windows, each exactly as if it were cut out, and the layers they share
only once.

Deviations:
* the classifier of single windows (50 neurons, then the outputs) is not part of the model;
* the paper counts 17,169 parameters in the ConvNet and about 25,000 in the LSTM. Its table of
  layers gives 15,552 with the classifier of six actions, and a fully recurrent LSTM with peepholes
  has 34,350: some connections are unknown;
* torch's default initialisation of the convolutions; Glorot-normal LSTM weights, forget bias 1;
* optional batch normalisation after each convolution, for short trainings.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from vidrep.models.blocks import FlattenFrames, check_clip_shape, convolved, pooled, triple
from vidrep.models.recurrent import PeepholeLSTM


class Rectify(nn.Module):
    """Absolute value."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.abs()


class Subsample(nn.Module):
    """Means over squares of H and W, with a trainable gain and bias a map.

    (B, C, T, H, W) -> (B, C, T, H / f, W / f).
    """

    def __init__(self, maps: int, factor: int):
        super().__init__()
        self.pool = nn.AvgPool3d((1, factor, factor))
        self.gain = nn.Parameter(torch.ones(maps))
        self.bias = nn.Parameter(torch.zeros(maps))

    def forward(self, maps: Tensor) -> Tensor:
        gain = self.gain[:, None, None, None]  # (C, 1, 1, 1)
        bias = self.bias[:, None, None, None]
        return self.pool(maps) * gain + bias


class Standardise(nn.Module):
    """Features (..., F) minus their mean, over their standard deviation.

    Before it is fitted it leaves them unchanged. A feature that never changes is divided by 1.
    """

    def __init__(self, features: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.deviation

    def fit(self, batches: Iterable[Tensor]) -> None:
        """Take mean and standard deviation from batches of features (..., F)."""
        count = 0
        total = 0.0
        squares = 0.0
        for batch in batches:
            rows = batch.flatten(0, -2).double()
            count = count + len(rows)
            total = total + rows.sum(0)
            squares = squares + rows.square().sum(0)
        mean = total / count
        variance = squares / count - mean.square()
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(variance > 1e-12, variance, 1.0).sqrt())


class WindowLSTM(nn.Module):
    """A ConvNet over windows of frames and an LSTM over the windows.

    Args:
        clip_shape: (C, T, H, W).
        maps: of the three convolutions; each map of the second sees one map of the first, the third
            sees all of the second.
        kernels: (T, H, W) of the three convolutions; their lengths decide how many frames a window
            has.
        subsampling: of H and W after the first two convolutions.
        units: of the LSTM.
        batch_norm: after each convolution.

    Layers: ``cnn.conv1``, ``cnn.conv2`` after their subsampling and ``cnn.conv3``, all (B, C, T',
    H, W), the last one with one step a window; ``standardise`` (B, S, F), the features of the S
    windows; ``lstm`` (B, S, units), the embedding.

    Raises:
        ValueError: the clips are too small, or the second convolution's maps cannot be shared out
            among the first one's.
    """

    inputs = ("clip",)
    layers = ("cnn.conv1", "cnn.conv2", "cnn.conv3", "standardise", "lstm")

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        maps: Sequence[int] = (7, 35, 5),
        kernels: Sequence[Sequence[int]] = ((5, 7, 7), (3, 5, 5), (3, 3, 3)),
        subsampling: Sequence[int] = (2, 2),
        units: int = 50,
        batch_norm: bool = False,
    ):
        super().__init__()
        channels_in, *size = check_clip_shape(clip_shape)
        if len(maps) != 3 or len(kernels) != 3 or len(subsampling) != 2 or maps[1] % maps[0]:
            raise ValueError(
                "needs maps and kernels of three convolutions, the second with a multiple of the"
                f" first one's maps, and two subsamplings; got {list(maps)}, {list(kernels)},"
                f" {list(subsampling)}"
            )
        self.cnn = nn.Sequential()
        groups = (1, maps[0], 1)
        for number, channels in enumerate(maps, start=1):
            kernel = triple(kernels[number - 1])
            convolution = nn.Conv3d(channels_in, channels, kernel, groups=groups[number - 1])
            layer = nn.Sequential(convolution)
            channels_in = channels
            size = convolved(size, kernel)
            if batch_norm:
                layer.append(nn.BatchNorm3d(channels))
            if number <= len(subsampling):
                factor = subsampling[number - 1]
                layer.extend([Rectify(), Subsample(channels, factor)])
                size = pooled(size, (1, factor, factor))
            self.cnn.add_module(f"conv{number}", layer)
        _, height, width = size
        features = channels_in * height * width
        self.flatten = FlattenFrames()
        self.standardise = Standardise(features)
        self.lstm = PeepholeLSTM(features, units, forget_bias=1.0)

    def window_features(self, clip: Tensor) -> Tensor:
        """Features of each window on its own, not standardised.

        (B, C, T, H, W) in [0, 1] -> (B, S, F).
        """
        return self.flatten(self.cnn(clip))

    def sequence(self, windows: Tensor) -> Tensor:
        """The LSTM over standardised windows: (B, S, F) -> (B, S, units)."""
        return self.lstm(self.standardise(windows))

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding at every step.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, S, units); the last step has seen the whole clip.
        """
        return self.sequence(self.window_features(clip))
