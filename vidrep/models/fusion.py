"""One image network, joined to time in four ways, and its two-resolution form.

Karpathy et al., "Large-scale Video Classification with Convolutional Neural Networks", CVPR 2014:
single frame, early, late and slow fusion over layers like those of Krizhevsky et al. (2012), and
context and fovea streams at half the pixels.

Deviations:
* training and evaluation both read the same frames from the middle of a clip, uncropped; the paper
  draws crops, flips and starts;
* no mean image is subtracted, since clips lie in [0, 1]; Glorot-uniform weights and no biases at
  first, as Keras has them, since with torch's smaller weights the layers that nothing normalises
  take several times as long to start learning;
* dropout 0.5 on the fully connected layers, as in Krizhevsky et al.; the paper states none for
  training from scratch;
* ``padding`` "same" gives the maps of the paper, which does not state it (7 x 7 before the fully
  connected layers, at 170 px and in both streams at 178 px); "valid" those of the re-implementation
  BunmiA/msc-exploring-neural-networks (2 x 2 at 170 px);
* batch normalisation in place of local response normalisation is that repository's variant. Its
  late and slow towers have weights of their own; here, as in the paper, all times share one set.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.blocks import check_clip_shape
from vidrep.models.fusion_trunk import LRN, initialise, trunk

# channels, kernel, stride, pool of each convolution
ALEXNET = (
    (96, 11, 3, 2),
    (256, 5, 1, 2),
    (384, 3, 1, 1),
    (384, 3, 1, 1),
    (256, 3, 1, 2),
)
SLOW = ((4, 2), (2, 2), (2, 2))  # 10 frames -> 4, 2, 1
CHOICES = {
    "fusion": ("single", "early", "late", "slow"),
    "streams": ("full", "multires", "fovea", "context"),
    "norm": ("local", "batch"),
    "padding": ("valid", "same"),
}


def frame_window(fusion: str, clip_frames: int, frames: int, gap: int) -> slice:
    """Which frames of a clip are read, as near its middle as possible.

    Raises:
        ValueError: the clip is too short.
    """
    step = 1
    if fusion == "single":
        span = 1
    elif fusion == "late":
        span = gap + 1
        step = gap
    else:
        span = frames
    if span > clip_frames:
        raise ValueError(
            f"{fusion} fusion spans {span} frames, clips have {clip_frames}: use longer clips,"
            " fewer frames or a smaller gap"
        )
    start = (clip_frames - span + 1) // 2
    return slice(start, start + span, step)


def temporal_kernels(
    fusion: str, frames: int, slow: Sequence[Sequence[int]]
) -> Sequence[Sequence[int]]:
    """(extent, stride) over time of the first convolutions; the others see single time steps.

    Raises:
        ValueError: the frames do not merge into one.
    """
    if fusion == "early":
        return ((frames, 1),)
    if fusion != "slow":
        return ()
    steps = frames
    for extent, stride in slow:
        steps = (steps - extent) // stride + 1
    if slow and steps != 1:
        raise ValueError(
            f"slow fusion of {frames} frames by {slow} ends in {max(steps, 0)} time steps, not in"
            " one: change frames"
        )
    return slow


def _check_choice(name: str, value: str) -> None:
    """Raise ValueError unless a parameter has one of its values in ``CHOICES``."""
    if value not in CHOICES[name]:
        raise ValueError(f"{name} must be one of {', '.join(CHOICES[name])}, got {value!r}")


class FusionCNN(nn.Module):
    """Convolutions that merge time at once, early, late or slowly, then fully connected layers.

    Frames read, always from the middle of the clip: one (single), ``frames`` in a row (early, slow)
    or two that lie ``gap`` apart (late). Early fusion merges time in its first convolution, slow
    fusion in its first three, late fusion in the first fully connected layer; until then all times
    share their weights.

    Args:
        clip_shape: (C, T, H, W).
        fusion: "single", "early", "late" or "slow".
        streams: "full" frames; "context", the frames at half size; "fovea", their centre half; or
            "multires", context and fovea, each with weights of its own. All but "full" leave out
            the last pooling.
        convs: (channels, kernel, stride, pool) of each convolution over H and W; ``pool`` 1 means
            none.
        dense: widths of the fully connected layers, at least one.
        norm: "local" or "batch", after the first two convolutions.
        lrn: depth radius, bias, alpha and beta of the local response normalisation, in the meaning
            of TensorFlow.
        padding: of the convolutions over H and W, "same" or "valid".
        frames: of early and slow fusion.
        slow: (extent, stride) over time of the first convolutions of slow fusion.
        gap: between the frames of late fusion.
        dropout: after each fully connected layer.

    Layers: ``<stream>.conv1`` ... (B, C, T', H', W') after their pooling, for the streams ``full``,
    ``context``, ``fovea``; then ``fc<n>`` (B, D), the last one the embedding.

    Raises:
        ValueError: clips too short or too small, or an unknown choice.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        fusion: str = "slow",
        streams: str = "full",
        convs: Sequence[Sequence[int]] = ALEXNET,
        dense: Sequence[int] = (4096, 4096),
        norm: str = "local",
        lrn: Sequence[float] = LRN,
        padding: str = "same",
        frames: int = 10,
        slow: Sequence[Sequence[int]] = SLOW,
        gap: int = 15,
        dropout: float = 0.5,
    ):
        super().__init__()
        channels, clip_frames, height, width = check_clip_shape(clip_shape)
        _check_choice("fusion", fusion)
        _check_choice("streams", streams)
        _check_choice("norm", norm)
        _check_choice("padding", padding)
        if not dense or frames < 1 or gap < 1:
            raise ValueError(
                f"dense must not be empty, frames and gap positive; got {dense}, {frames}, {gap}"
            )
        self.window = frame_window(fusion, clip_frames, frames, gap)
        self.streams = ("context", "fovea") if streams == "multires" else (streams,)
        steps = len(range(clip_frames)[self.window])
        kernels = temporal_kernels(fusion, frames, slow)
        if streams != "full":
            height = height // 2
            width = width // 2
            *first, (last, side, stride, _) = convs
            convs = [*first, (last, side, stride, 1)]  # without the last pooling
        features = 0
        convolutions = []
        for stream in self.streams:
            layers, values = trunk(
                channels,
                (steps, height, width),
                convs=convs,
                kernels=kernels,
                norm=norm,
                lrn=lrn,
                padding=padding,
            )
            self.add_module(stream, layers)
            convolutions += [f"{stream}.{name}" for name, _ in layers.named_children()]
            features += values
        self.dense = self._add_dense(features, dense, first=len(convs) + 1, dropout=dropout)
        self.apply(initialise)
        self.layers = (*convolutions, *self.dense)

    def _add_dense(
        self,
        features: int,
        dense: Sequence[int],
        *,
        first: int,
        dropout: float,
    ) -> tuple[str, ...]:
        """Add the fully connected layers, numbered from ``first`` on, and return their names."""
        names = []
        for number, units in enumerate(dense, start=first):
            layer = nn.Sequential(nn.Linear(features, units), nn.ReLU(), nn.Dropout(dropout))
            names.append(f"fc{number}")
            self.add_module(names[-1], layer)
            features = units
        return tuple(names)

    def view(self, stream: str, frames: Tensor) -> Tensor:
        """What a stream sees of frames.

        Args:
            stream: "full", "context" (all at half the resolution) or "fovea" (the middle).
            frames: (B, C, T, H, W).

        Returns:
            The frames, or (B, C, T, H // 2, W // 2).
        """
        if stream == "context":
            return F.avg_pool3d(frames, (1, 2, 2))
        if stream == "fovea":
            height, width = frames.shape[3:]
            half_height = height // 2
            half_width = width // 2
            top = (height - half_height) // 2
            left = (width - half_width) // 2
            return frames[..., top : top + half_height, left : left + half_width]
        return frames

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, D).
        """
        frames = clip[:, :, self.window]
        vectors = []
        for stream in self.streams:
            maps = self.get_submodule(stream)(self.view(stream, frames))  # (B, C', T', H', W')
            vectors.append(maps.transpose(1, 2).flatten(1))  # time by time
        features = torch.cat(vectors, 1)
        for name in self.dense:
            features = self.get_submodule(name)(features)
        return features
