"""What objectives with masked tubelets share: masks, and a small transformer that fills gaps.

Tube masking (Tong et al., NeurIPS 2022, arXiv 2203.12602): the masked places of a clip are the same
at all times, so that a still object cannot be copied from another frame. Every clip of a batch has
places of its own, and all have as many. A mask is given as an order of places (B, N) whose first
ones are seen.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.video_transformer import Block, VideoTransformer

WAVES = 10_000  # ratio of the highest to the lowest frequency of positions


def check_maskable(model: nn.Module, objective: str, masked: float) -> tuple[int, int]:
    """How many places of a model's frames are seen, and how many there are.

    Args:
        model: a video transformer with joint attention.
        objective: its name, for the error line.
        masked: share of the places that are masked, rounded down to whole places.

    Raises:
        ValueError: another model, or a share that leaves nothing to see or nothing to fill in.
    """
    if not isinstance(model, VideoTransformer) or model.attention != "joint":
        raise ValueError(
            f"objective {objective}: needs model video_transformer with joint attention, to be"
            " shown some tokens only"
        )
    places = model.grid[1] * model.grid[2]
    hidden = int(masked * places)
    if not 0 < hidden < places:
        raise ValueError(
            f"objective {objective}: masking {masked} of {places} places ({model.grid[1]} x"
            f" {model.grid[2]} tubelets) leaves {places - hidden} to see; use smaller tubelets or"
            " larger clips so that at least one is seen and one is masked"
        )
    return places - hidden, places


def random_order(clips: int, places: int, device: torch.device) -> Tensor:
    """An order of places for each of some clips, (B, N), from torch's global generator."""
    return torch.rand(clips, places, device=device).argsort(1)


def fixed_order(row: Tensor, places: int) -> Tensor:
    """The order of places of each clip, always the same for its place in the split.

    Args:
        row: (B,) places of the clips in their split.
        places: N.

    Returns:
        (B, N).
    """
    place = torch.arange(places, device=row.device)
    mixed = (row[:, None] + 1) * places + place  # (B, N), another number for each
    # a hash of 31 bits: multiply, then fold the high bits down
    for factor in (2654435761, 2246822519, 3266489917):
        mixed = (mixed & 0x7FFFFFFF) * factor & 0x7FFFFFFF
        mixed = mixed ^ (mixed >> 15)
    return mixed.argsort(dim=1, stable=True)


def take(tokens: Tensor, places: Tensor) -> Tensor:
    """Tokens (B, T, N, D) of some places (B, M), at all times: (B, T, M, D)."""
    _, frames, _, width = tokens.shape
    index = places[:, None, :, None].expand(-1, frames, -1, width)  # (B, T, M, D)
    return tokens.gather(2, index)


def by_place(maps: Tensor) -> Tensor:
    """Maps (B, D, T, H, W) as tokens (B, T, H * W, D)."""
    return maps.flatten(3).movedim(1, -1)


def encode_some(model: VideoTransformer, clip: Tensor, places: Tensor) -> Tensor:
    """The model's normalised tokens, where it is shown some places of a clip only.

    Args:
        model: the encoder.
        clip: (B, C, T, H, W).
        places: (B, M).

    Returns:
        (B, T, M, D).
    """
    tokens = take(by_place(model.embed(clip)), places)  # (B, T, M, D)
    _, frames, count, _ = tokens.shape
    maps = tokens.flatten(1, 2).transpose(1, 2)[..., None, None]  # (B, D, T * M, 1, 1)
    encoded = model.encode(maps)[..., 0, 0].transpose(1, 2)  # (B, T * M, D)
    return model.embedding.norm(encoded).unflatten(1, (frames, count))


def wave_positions(width: int, grid: Sequence[int]) -> Tensor:
    """Sines and cosines of each cell's place along each axis of a grid, at falling frequencies.

    A third of the features tells each axis; what remains is 0.

    Args:
        width: D.
        grid: (T, H, W).

    Returns:
        (D, T, H, W).

    Reference: Vaswani et al., NIPS 2017, section 3.5, for one axis.
    """
    count = width // 6  # frequencies of an axis
    frequency = WAVES ** (-torch.arange(count) / max(1, count))
    waves = []
    for axis, size in enumerate(grid):
        phase = torch.arange(size) * frequency[:, None]  # (count, size)
        wave = torch.cat([phase.sin(), phase.cos()])  # (2 * count, size)
        shape = [-1, 1, 1, 1]
        shape[1 + axis] = size
        waves.append(wave.view(shape).expand(-1, *grid))
    missing = width - 6 * count
    return F.pad(torch.cat(waves), (0, 0, 0, 0, 0, 0, 0, missing))


class GapFiller(nn.Module):
    """A transformer that sees the tokens of some places and answers at the others.

    Args:
        width_in: features of the tokens it is given.
        grid: (T, H, W) of tokens.
        width, depth, heads: its own.
        width_out: values to answer with at each place and time.
    """

    def __init__(
        self,
        width_in: int,
        grid: Sequence[int],
        width: int,
        depth: int,
        heads: int,
        width_out: int,
    ):
        super().__init__()
        if min(width, depth, heads) < 1 or width % heads:
            raise ValueError(
                "width, depth and heads must be at least 1 and width a multiple of heads, got"
                f" {width}, {depth}, {heads}"
            )
        self.grid = tuple(grid)
        self.enter = nn.Linear(width_in, width)
        gap = nn.init.trunc_normal_(torch.empty(width), std=0.02)
        self.gap = nn.Parameter(gap)
        self.register_buffer("positions", wave_positions(width, self.grid), persistent=False)
        blocks = [Block(width, heads, 4, ("all",)) for _ in range(depth)]
        self.blocks = nn.Sequential(*blocks)
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width_out))

    def forward(self, seen: Tensor, order: Tensor) -> Tensor:
        """Answers (B, T, N - M, width_out) at the masked places, in their order.

        Args:
            seen: (B, T, M, width_in), tokens of the first M places of ``order``.
            order: (B, N).
        """
        tokens = self.enter(seen)
        clips, frames, count, width = tokens.shape
        masked = order.shape[1] - count
        gaps = self.gap.to(tokens.dtype).expand(clips, frames, masked, width)
        in_order = torch.cat([tokens, gaps], dim=2)  # (B, T, N, D)
        in_place = take(in_order, order.argsort(1))
        maps = in_place.unflatten(2, self.grid[1:]).movedim(-1, 1)  # (B, D, T, H, W)
        answers = by_place(self.blocks(maps + self.positions))  # (B, T, N, D)
        return self.leave(take(answers, order[:, count:]))
