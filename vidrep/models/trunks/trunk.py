"""A published network at work inside a video model.

This is the one place that folds time into the batch. Published state dicts hold 2-D kernels, and
whole images (or whole short clips) are what these networks were made for: keeping ``Conv2d`` inside
keeps loading ordinary. Nothing folded is extracted: each map passes through a thin module that
unfolds it, and that is the layer others see.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.trunks import TRUNKS
from vidrep.models.weights import load_state


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) -> (B, C, *size), bilinearly; shrinking averages over what is left out."""
    height, width = images.shape[2:]
    if (height, width) == size:
        return images
    shrinks = height > size[0] or width > size[1]
    return F.interpolate(images, size, mode="bilinear", antialias=shrinks)


class UnfoldMaps(nn.Module):
    """Maps of pieces as those of clips.

    (B * n, C, H, W) or (B * n, C, t, H, W) -> (B, C, n * t, H, W).
    """

    def forward(self, maps: Tensor, pieces: int) -> Tensor:
        if maps.ndim == 4:
            maps = maps[:, :, None]
        by_clip = maps.unflatten(0, (-1, pieces))  # (B, n, C, t, H, W)
        return by_clip.transpose(1, 2).flatten(2, 3)


class UnfoldVectors(nn.Module):
    """Vectors of pieces as those of clips: (B * n, D) -> (B, n, D)."""

    def forward(self, vectors: Tensor, pieces: int) -> Tensor:
        return vectors.unflatten(0, (-1, pieces))


class Trunk(nn.Module):
    """An image network over frames, or a clip network over pieces of ``length`` frames.

    Args:
        name: a key of ``TRUNKS``.
        size: (C, H, W) of a frame; grey or RGB.
        length: frames per piece; 1 for image networks.
        image_px: frames whose shorter side is smaller are enlarged to it, bilinearly; None takes
            the network's own number.
        trained: train the network. A frozen one also keeps the stored statistics of its batch
            normalisation.
        pooled: yield one vector a piece instead of the last map.
        params: of the network's constructor.

    Layers: ``maps.<group>`` (B, C, T, H, W) for each group of the network; with ``pooled`` also
    ``pooled`` (B, pieces, D).

    Raises:
        ValueError: unknown network or parameter, or sizes that do not fit.
    """

    def __init__(
        self,
        name: str,
        size: Sequence[int],
        *,
        length: int = 1,
        image_px: int | None = None,
        trained: bool = False,
        pooled: bool = True,
        params: dict | None = None,
    ):
        super().__init__()
        if name not in TRUNKS:
            raise ValueError(f"trunk must be one of {', '.join(TRUNKS)}, got {name!r}")
        try:
            self.net = TRUNKS[name](classes=0, **(params or {}))
        except TypeError as error:
            raise ValueError(f"trunk {name}: {error}") from None
        self.length = length
        self.trained = trained
        self.with_vectors = pooled
        self.target = self._target(name, size, image_px)
        mean = torch.tensor(self.net.preprocessing.mean)[:, None, None]
        std = torch.tensor(self.net.preprocessing.std)[:, None, None]
        self.register_buffer("image_mean", mean, persistent=False)
        self.register_buffer("image_std", std, persistent=False)
        self.maps = nn.ModuleDict({group: UnfoldMaps() for group in self.net.groups})
        self.layers = tuple(f"maps.{group}" for group in self.maps)
        self.size = self.net.channels
        if pooled:
            self.pooled = UnfoldVectors()
            self.layers += ("pooled",)
            self.size = self.net.size
        self.net.requires_grad_(trained)

    def _target(self, name: str, size: Sequence[int], image_px: int | None) -> tuple[int, int]:
        """Height and width of the images that the network sees."""
        channels, *sides = size
        px = self.net.image_px if image_px is None else image_px
        is_size = isinstance(px, int) and px >= 1
        if channels not in (1, 3):
            raise ValueError(f"trunk {name} takes grey or RGB clips, got {channels} channels")
        if not is_size or (self.net.fixed_size and px != self.net.image_px):
            wanted = self.net.image_px if self.net.fixed_size else "a positive whole number"
            raise ValueError(f"trunk {name}: image_px must be {wanted}, got {image_px}")
        if self.net.fixed_size:
            return px, px
        scale = max(1.0, px / min(sides))
        height, width = (round(side * scale) for side in sides)
        if min(height, width) < self.net.smallest_px:
            raise ValueError(
                f"trunk {name} needs images of {self.net.smallest_px} px, got {height} x {width}:"
                " raise image_px"
            )
        return height, width

    def train(self, mode: bool = True):
        super().train(mode)
        if not self.trained:
            self.net.eval()
        return self

    def load_pretrained(self, state: dict[str, Tensor], source: object) -> None:
        """Load a published state dict; its classifier is left out, because trunks have none.

        Raises:
            ValueError: the rest does not fit the network, or its treatment of images.
        """
        kept = {
            name: tensor
            for name, tensor in state.items()
            if not name.startswith(self.net.classifier_prefix)
        }
        load_state(self.net, kept, source)
        if hasattr(self.net, "check_weights"):
            self.net.check_weights(state, source)

    def prepare(self, clip: Tensor) -> Tensor:
        """Frames as the network wants them.

        (B, C, T, H, W) in [0, 1], grey or RGB -> (B * T, 3 or 1, H', W').
        """
        frames = clip.transpose(1, 2).flatten(0, 1)  # (B * T, C, H, W)
        colours = self.net.preprocessing.colours
        if colours == "grey":
            frames = frames.mean(1, keepdim=True)
        elif colours == "bgr":
            frames = frames.flip(1)
        resized = resize(frames, self.target)
        frames = (resized - self.image_mean) / self.image_std  # broadcasting repeats grey
        return frames.contiguous(memory_format=torch.channels_last)

    def forward(self, clip: Tensor) -> Tensor:
        """Last map or vectors of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1], T a multiple of ``length``.

        Returns:
            (B, pieces, D) if ``pooled``, else (B, C, T', H', W').
        """
        pieces = clip.shape[2] // self.length
        folded = self.prepare(clip)
        if self.length > 1 or self.net.takes_clips:
            by_piece = folded.unflatten(0, (-1, self.length))  # (B * pieces, length, C, H', W')
            folded = by_piece.transpose(1, 2)
        for group, names in self.net.groups.items():
            for name in names:
                folded = self.net.get_submodule(name)(folded)
            maps = self.maps[group](folded, pieces)
        if not self.with_vectors:
            return maps
        return self.pooled(self.net.pool(folded), pieces)
