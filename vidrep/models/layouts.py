"""What a layer's output means, where its shape does not say: declared by a model in ``layouts``.

Layers are stored as maps (B, C, T, H, W), sequences (B, T, D) or vectors (B, D). A layer of another
form is declared in the model's attribute ``layouts``, a dict from layer names to one of the classes
below, each of which puts an output into the usual form::

    layouts = {"encoder.layer.3": Tokens((8, 14, 14)), "backbone": FoldedFrames(16)}
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """Tokens of a transformer that lie on a grid: (B, before + t*h*w, D) -> (B, D, t, h, w).

    Attributes:
        grid: (t, h, w).
        before: tokens in front that have no place, such as a class token; left out.
        order: how the grid is counted, from the slowest axis to the fastest, such as "thw" or
            "hwt".
    """

    grid: tuple[int, int, int]
    before: int = 0
    order: str = "thw"

    def __post_init__(self) -> None:
        if sorted(self.order) != sorted("thw"):
            raise ValueError(f"order of tokens must hold each of t, h and w, got {self.order!r}")

    def __call__(self, output: Tensor) -> Tensor:
        t, h, w = self.grid
        wanted = self.before + t * h * w
        if output.ndim != 3 or output.shape[1] != wanted:
            raise ValueError(
                f"{tuple(output.shape)} does not hold the declared tokens, (B, {wanted}, D):"
                f" {self.before} + {t} x {h} x {w} = {wanted} of a clip"
            )
        sides = dict(zip("thw", self.grid, strict=True))
        tokens = output[:, self.before :]
        grid = tokens.unflatten(1, [sides[axis] for axis in self.order])  # (B, ?, ?, ?, D)
        places = [1 + self.order.index(axis) for axis in "thw"]
        return grid.permute(0, 4, *places)


@dataclass(frozen=True)
class FoldedFrames:
    """Frames or pieces of a clip that stand in the batch, those of one clip side by side.

    (B * steps, D) -> (B, steps, D); (B * steps, C, H, W) -> (B, C, steps, H, W).

    Attributes:
        steps: frames or pieces of a clip.
        each: the layout of one of them, where it has one; its t adds up.
    """

    steps: int
    each: "Tokens | ChannelsLast | None" = None

    def __call__(self, output: Tensor) -> Tensor:
        if self.each:
            output = self.each(output)
        if output.ndim not in (2, 4, 5) or len(output) % self.steps:
            raise ValueError(
                f"{tuple(output.shape)} does not hold {self.steps} frames a clip in the batch,"
                f" (B * {self.steps}, D) or (B * {self.steps}, C, H, W)"
            )
        by_clip = output.unflatten(0, (-1, self.steps))
        if output.ndim == 2:
            return by_clip
        if output.ndim == 4:
            return by_clip.transpose(1, 2)
        return by_clip.transpose(1, 2).flatten(2, 3)


@dataclass(frozen=True)
class TimeFirst:
    """Sequences with time before the batch: (T, B, D) -> (B, T, D)."""

    def __call__(self, output: Tensor) -> Tensor:
        if output.ndim != 3:
            raise ValueError(f"{tuple(output.shape)} is not (T, B, D)")
        return output.transpose(0, 1)


@dataclass(frozen=True)
class ChannelsLast:
    """Maps with channels behind space: (B, T, H, W, C) -> (B, C, T, H, W), also without T."""

    def __call__(self, output: Tensor) -> Tensor:
        if output.ndim not in (4, 5):
            raise ValueError(f"{tuple(output.shape)} is not (B, T, H, W, C)")
        return output.movedim(-1, 1)


Layout = Tokens | FoldedFrames | TimeFirst | ChannelsLast
