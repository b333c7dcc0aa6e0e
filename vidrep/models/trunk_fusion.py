"""Published networks connected to time in four ways: single frame, early, late and slow fusion.

The four ways are those of Karpathy et al. (CVPR 2014), with an image network (VGG19, MobileNetV2)
or I3D in place of theirs:

* image network: ``single`` middle frame; ``early`` a learnt 1 x 1 convolution from all frames to
  one image of three channels; ``late`` two frames, the network shared; ``slow`` all frames, last
  maps merged by temporal convolutions, then averaged;
* I3D: ``single`` middle frame repeated; ``early`` the clip as it is; ``late`` its two halves, the
  network shared; ``slow`` equal chunks, last maps merged by temporal convolutions, then averaged.

Deviation: the filter of early fusion starts as three averages, of the first, middle and last third
of the clip, so that a frozen network sees an image from the first step on.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import torch
from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape
from vidrep.models.trunks import TRUNKS
from vidrep.models.trunks.trunk import Trunk

FUSIONS = ("single", "early", "late", "slow")
IMAGE_MERGES = ((4, 2), (2, 2), (2, 2))
CLIP_MERGES = ((2, 2), (2, 2))


class MixFrames(nn.Conv3d):
    """All frames of a clip as one image of three channels: (B, C, T, H, W) -> (B, 3, 1, H, W)."""

    def __init__(self, channels: int, frames: int):
        super().__init__(channels, 3, (frames, 1, 1))
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.weight)
        thirds = pairwise((0, frames // 3, 2 * frames // 3, frames))
        parts = thirds if frames > 2 else [(0, frames)] * 3
        for colour, (first, end) in enumerate(parts):
            values = channels * (end - first)
            nn.init.constant_(self.weight[colour, :, first:end], 1 / values)


class MeanMap(nn.Module):
    """Average over time and space: (B, C, T, H, W) -> (B, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((2, 3, 4))


class TrunkFusion(nn.Module):
    """A trunk and one of the four fusions.

    Args:
        clip_shape: (C, T, H, W), grey or RGB.
        trunk: vgg19, mobilenet_v2 or i3d.
        fusion: one of ``FUSIONS``.
        image_px: frames with a smaller shorter side are enlarged to it (default 96; I3D 112).
        train_trunk: train the trunk too; a frozen one also keeps its batch-norm statistics.
        trunk_params: of the trunk's constructor, e.g. ``width``.
        frames: early and slow fusion of an image network: how many consecutive frames around the
            middle it sees; None: all.
        apart: late fusion of an image network: frames between its two frames, which lie around the
            middle.
        chunks: slow fusion of I3D: pieces that the clip is cut into.
        merges: slow fusion: (extent, stride) of each temporal convolution; None: (4, 2), (2, 2),
            (2, 2), for I3D (2, 2), (2, 2).
        merge_channels: of these convolutions.

    Layers: ``mix`` (B, 3, 1, H, W) with early fusion of an image network; ``trunk.maps.*`` (B, C,
    T, H, W); ``trunk.pooled`` (B, pieces, D) or, with slow fusion, ``merge1`` ... (B, C, T, H, W);
    ``embedding`` (B, D).

    Raises:
        ValueError: unknown names, or clips too short for the fusion.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        trunk: str = "mobilenet_v2",
        fusion: str = "single",
        image_px: int | None = None,
        train_trunk: bool = False,
        trunk_params: dict | None = None,
        frames: int | None = 10,
        apart: int = 15,
        chunks: int = 4,
        merges: Sequence[Sequence[int]] | None = None,
        merge_channels: int = 256,
    ):
        super().__init__()
        channels, length, *size = check_clip_shape(clip_shape)
        if trunk not in TRUNKS or trunk == "digit_cnn":
            raise ValueError(f"trunk must be one of vgg19, mobilenet_v2, i3d, got {trunk!r}")
        if fusion not in FUSIONS:
            raise ValueError(f"fusion must be one of {', '.join(FUSIONS)}, got {fusion!r}")
        takes_clips = TRUNKS[trunk].takes_clips
        self.layers: tuple[str, ...] = ()
        if takes_clips:
            chosen, length = clip_frames(fusion, length, chunks)
        else:
            chosen = image_frames(fusion, length, frames, apart)
            length = 1
        self.register_buffer("chosen", torch.tensor(chosen), persistent=False)
        if fusion == "early" and not takes_clips:
            self.mix = MixFrames(channels, len(chosen))
            self.layers = ("mix",)
            channels = 3
        self.trunk = Trunk(
            trunk,
            (channels, *size),
            length=length,
            image_px=image_px,
            trained=train_trunk,
            pooled=fusion != "slow",
            params=trunk_params,
        )
        self.layers += tuple(f"trunk.{name}" for name in self.trunk.layers)
        self.merged: tuple[str, ...] = ()
        if fusion == "slow":
            pieces = len(chosen) // length
            steps = (
                ceil(length / 8) if takes_clips else 1
            )  # of a piece; I3D halves time three times
            usual = CLIP_MERGES if takes_clips else IMAGE_MERGES
            self._add_merges(pieces * steps, merges or usual, merge_channels)
        self.embedding = MeanMap() if fusion == "slow" else nn.Flatten()
        self.layers += (*self.merged, "embedding")

    def _add_merges(self, steps: int, merges: Sequence[Sequence[int]], units: int) -> None:
        """Temporal convolutions over ``steps`` steps of the trunk's last maps."""
        channels = self.trunk.size
        before = steps
        for number, (extent, stride) in enumerate(merges, start=1):
            if extent > steps:
                raise ValueError(
                    f"slow fusion: {before} steps are too few for temporal convolutions (extent,"
                    f" stride) {merges}"
                )
            convolution = nn.Conv3d(channels, units, (extent, 1, 1), (stride, 1, 1))
            self.add_module(f"merge{number}", nn.Sequential(convolution, nn.ReLU()))
            channels = units
            steps = (steps - extent) // stride + 1
        self.merged = tuple(f"merge{number}" for number in range(1, len(merges) + 1))

    def load_pretrained(self, state: dict[str, Tensor], source: object) -> None:
        """Load a published state dict into the trunk; its class scores are left out."""
        self.trunk.load_pretrained(state, source)

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, D).
        """
        features = clip.index_select(2, self.chosen)
        if "mix" in self.layers:
            features = self.mix(features)
        features = self.trunk(features)
        for name in self.merged:
            features = self.get_submodule(name)(features)
        return self.embedding(features)


def image_frames(fusion: str, length: int, frames: int | None, apart: int) -> list[int]:
    """Indices of the frames of a clip of ``length`` that an image network sees.

    Raises:
        ValueError: there are not as many frames, or no two that lie ``apart``.
    """
    if fusion == "single":
        return [length // 2]
    if fusion == "late":
        if not 1 <= apart < length:
            raise ValueError(f"late fusion: no two of {length} frames lie {apart} apart")
        first = (length - 1 - apart) // 2
        return [first, first + apart]
    frames = length if frames is None else frames
    if not 1 <= frames <= length:
        raise ValueError(f"{fusion} fusion: {frames} frames wanted, clips have {length}")
    first = (length - frames) // 2
    return list(range(first, first + frames))


def clip_frames(fusion: str, length: int, chunks: int) -> tuple[list[int], int]:
    """Frames of a clip of ``length`` that a clip network sees.

    Returns:
        Their indices, and how many of them make a piece.

    Raises:
        ValueError: the clip cannot be cut into such pieces.
    """
    if fusion == "single":
        return [length // 2] * length, length
    if fusion == "early":
        return list(range(length)), length
    pieces = 2 if fusion == "late" else chunks
    if pieces < 1 or length % pieces:
        raise ValueError(
            f"{fusion} fusion: {length} frames cannot be cut into {pieces} pieces of the same"
            " length"
        )
    return list(range(length)), length // pieces
