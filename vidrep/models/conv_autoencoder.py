"""3-D convolutional autoencoder with one dense code a clip.

It is "C3D AE" of gbpcosta/video_representations.

Convolution -> ReLU -> batch normalisation, as in that code's other networks. The decoder, which
``make_decoder`` builds and objectives own, mirrors the encoder with transposed convolutions. The
default is the small version; the large one has ``stages: [[64, 1, [1, 2, 2]], [128, 1, 2], [128, 1,
2], [64, 1, 2]]``, ``code: 2048`` and ``deconvs: [[128, 2], [128, 2], [64, 2], [32, [1, 2, 2]]]``.

Choices where the source is silent: all kernels 3 x 3 x 3, batch normalisation after every hidden
convolution.
"""

from collections.abc import Sequence
from math import ceil, prod

from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape, pooled, triple


def block(convolution: nn.Module, channels: int, momentum: float) -> list[nn.Module]:
    """A convolution, then ReLU and batch normalisation of its ``channels``."""
    return [
        convolution,
        nn.ReLU(inplace=True),
        nn.BatchNorm3d(channels, eps=1e-3, momentum=momentum),
    ]


class ConvAutoencoder(nn.Module):
    """Convolutions ``conv1`` ... ``convN`` and a dense code.

    Args:
        clip_shape: (C, T, H, W).
        stages: (channels, stride, pool) of each convolution; stride and pool are a number or (T, H,
            W).
        code: size of the code.
        deconvs: (channels, stride) of the decoder's transposed convolutions; strides undo those and
            the pools of ``stages``.
        momentum: of the batch normalisation's running statistics.

    Layers: ``conv*`` (B, C, T, H, W) after their pooling, ``embedding`` (B, code), the code.

    Raises:
        ValueError: the clips are no multiple of what the decoder's strides come to, or these do not
            undo the encoder's.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        stages: Sequence[Sequence] = ((32, 2, 2), (64, 1, 2), (64, 1, (1, 2, 2))),
        code: int = 1024,
        deconvs: Sequence[Sequence] = ((64, 2), (64, 2), (32, 2), (32, (1, 2, 2))),
        momentum: float = 0.01,
    ):
        super().__init__()
        self.channels, *size = check_clip_shape(clip_shape)
        self.deconvs = deconvs
        self.momentum = momentum
        self.clip_size = tuple(size)
        channels_in = self.channels
        for number, (channels, stride, pool) in enumerate(stages, start=1):
            strides = triple(stride)
            conv = nn.Conv3d(channels_in, channels, 3, stride=strides, padding=1)
            layer = nn.Sequential(*block(conv, channels, momentum), nn.MaxPool3d(triple(pool)))
            self.add_module(f"conv{number}", layer)
            channels_in = channels
            strided = [ceil(side / step) for side, step in zip(size, strides, strict=True)]
            size = pooled(strided, pool)
        self.map = (channels_in, *size)
        self._check_decoder()
        self.embedding = nn.Sequential(nn.Flatten(), nn.Linear(prod(self.map), code))
        self.code = code
        self.layers = tuple(name for name, _ in self.named_children())

    def _check_decoder(self) -> None:
        """Do the decoder's strides lead from the last map back to the clip?"""
        _, *size = self.map
        decoded = tuple(size)
        for _, stride in self.deconvs:
            decoded = tuple(side * step for side, step in zip(decoded, triple(stride), strict=True))
        if decoded != self.clip_size:
            raise ValueError(
                f"the decoder generates {decoded} (T, H, W) from a map of {tuple(size)},"
                f" the clips are {self.clip_size}: let deconvs undo the strides and pools of"
                " stages, and make clips multiples of them"
            )

    def encode(self, clip: Tensor) -> Tensor:
        """What the decoder takes: the code (B, code) of a clip (B, C, T, H, W) in [0, 1]."""
        features = clip
        for name in self.layers:
            features = self.get_submodule(name)(features)
        return features

    def forward(self, clip: Tensor) -> Tensor:
        """The code (B, code)."""
        return self.encode(clip)

    def make_decoder(self) -> nn.Module:
        """A decoder of what ``encode`` gives: code (B, code) -> logits (B, C, T, H, W)."""
        decoder = nn.Sequential(
            nn.Linear(self.code, prod(self.map)), nn.ReLU(), nn.Unflatten(1, self.map)
        )
        channels_in = self.map[0]
        for channels, stride in self.deconvs:
            strides = triple(stride)
            rest = tuple(step - 1 for step in strides)
            deconv = nn.ConvTranspose3d(
                channels_in, channels, 3, stride=strides, padding=1, output_padding=rest
            )
            decoder.extend(block(deconv, channels, self.momentum))
            channels_in = channels
        return decoder.append(nn.Conv3d(channels_in, self.channels, 3, padding=1))
