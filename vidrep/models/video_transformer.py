"""Video transformers.

ViViT (Arnab et al., ICCV 2021, arXiv 2103.15691) and TimeSformer (Bertasius et al., ICML 2021,
arXiv 2102.05095): a clip is cut into tubelets, each becomes a token, and pre-norm blocks of
attention and MLP mix the tokens. What they mix is the scheme:

* ``joint``: all tokens of the clip with each other (ViViT model 1, TimeSformer's joint space-time);
* ``divided``: tokens of the same place over time, then tokens of the same frame over space
  (TimeSformer);
* ``factorised``: a spatial encoder, then a temporal encoder over one token a frame (ViViT model 2);
* ``space``: ``divided`` without time. Its first attention looks over space as well, so both have
  the same weights but for the time positions, which it lacks: with tubelets of one frame its
  embedding does not depend on the order of frames. TimeSformer's space-only baseline has one
  attention a block, and therefore a quarter fewer weights.

Deviations: no class token, the embedding is the mean over the normalised tokens; ViViT's positions
are learnt for space and time apart, as TimeSformer's; no further linear layer after TimeSformer's
temporal attention (its code has one, made for weights inflated from images); no dropout, no
stochastic depth; torch's default weight initialisation, no ImageNet weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrep.models.blocks import Triple, check_clip_shape, triple

# what the attentions of a block look along, one after the other
SCHEMES = {
    "joint": ("all",),
    "divided": ("time", "space"),
    "factorised": ("space",),
    "space": ("space", "space"),
}

POSITION_STD = 0.02


class TubeletEmbedding(nn.Module):
    """Tubelets as tokens, with learnt positions: (B, C, T, H, W) -> (B, D, T/t, H/p, W/q).

    Args:
        channels: C.
        width: D.
        patch: (t, p, q), size of a tubelet.
        grid: (T/t, H/p, W/q).
        timed: add a position in time too?
        std: standard deviation of the positions at first.
        gain: factor on pixels.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        patch: Sequence[int],
        grid: Sequence[int],
        *,
        timed: bool,
        std: float,
        gain: float,
    ):
        super().__init__()
        self.gain = gain
        frames, rows, columns = grid
        self.project = nn.Conv3d(channels, width, tuple(patch), stride=tuple(patch))
        self.space = _positions(width, (1, rows, columns), std)
        self.time = _positions(width, (frames, 1, 1), std) if timed else None

    def forward(self, clip: Tensor) -> Tensor:
        tokens = self.project(self.gain * clip) + self.space
        return tokens if self.time is None else tokens + self.time


def _positions(width: int, grid: Sequence[int], std: float = POSITION_STD) -> nn.Parameter:
    """A learnt vector for every cell of a grid, (1, D, T, H, W)."""
    values = torch.empty(1, width, *grid)
    return nn.Parameter(nn.init.trunc_normal_(values, std=std))


class Attention(nn.Module):
    """Multi-head self-attention along some axes of a grid of tokens (B, T, H, W, D).

    Args:
        width: D.
        heads: number of heads, each D / heads wide.
        along: "time" (same place), "space" (same frame) or "all".
    """

    def __init__(self, width: int, heads: int, along: str):
        super().__init__()
        self.heads = heads
        self.along = along
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, frames, height, width, _ = tokens.shape
        if self.along == "time":
            sequences = tokens.permute(0, 2, 3, 1, 4).flatten(0, 2)  # (B * H * W, T, D)
            mixed = self.mix(sequences).unflatten(0, (batch, height, width))  # (B, H, W, T, D)
            return mixed.permute(0, 3, 1, 2, 4)
        if self.along == "space":
            sequences = tokens.flatten(2, 3).flatten(0, 1)  # (B * T, H * W, D)
        else:
            sequences = tokens.flatten(1, 3)  # (B, T * H * W, D)
        return self.mix(sequences).reshape(batch, frames, height, width, -1)

    def mix(self, sequences: Tensor) -> Tensor:
        """Attention within each sequence: (S, N, D) -> (S, N, D)."""
        heads = self.qkv(sequences).unflatten(-1, (3, self.heads, -1))  # (S, N, 3, heads, d)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (S, heads, N, d) each
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm attention along each of ``axes`` in turn, then an MLP: (B, D, T, H, W) -> same.

    Each has a residual around it.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: int, axes: Sequence[str]):
        super().__init__()
        attentions = [
            nn.Sequential(nn.LayerNorm(width), Attention(width, heads, along)) for along in axes
        ]
        hidden = mlp_ratio * width
        mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)
        )
        self.steps = nn.ModuleList([*attentions, mlp])

    def forward(self, maps: Tensor) -> Tensor:
        tokens = maps.movedim(1, -1)  # (B, T, H, W, D)
        for step in self.steps:
            tokens = tokens + step(tokens)
        return tokens.movedim(-1, 1)


class FrameTokens(nn.Module):
    """The mean token of each frame with its position in time.

    (B, D, T, H, W) -> (B, D, T, 1, 1).
    """

    def __init__(self, width: int, frames: int):
        super().__init__()
        self.time = _positions(width, (frames, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((3, 4), keepdim=True) + self.time


class MeanToken(nn.Module):
    """The mean of the normalised tokens: (B, D, T, H, W) -> (B, D)."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, maps: Tensor) -> Tensor:
        tokens = maps.flatten(2).transpose(1, 2)  # (B, N, D)
        return self.norm(tokens).mean(1)


class VideoTransformer(nn.Module):
    """Tubelet embedding, blocks, mean token.

    Args:
        clip_shape: (C, T, H, W).
        attention: a key of ``SCHEMES``.
        patch: size of a tubelet, a number or (T, H, W); must divide the clip.
        width: D, features of a token.
        depth: number of blocks (of the spatial encoder, where the scheme is "factorised").
        heads: of each attention; must divide ``width``.
        mlp_ratio: hidden units of the MLP as a multiple of ``width``.
        temporal_depth: blocks of the temporal encoder, for "factorised" only.
        position_std: standard deviation of the tubelets' positions at first; larger ones are told
            apart sooner.
        pixel_gain: factor on pixels; the published standardisation of photographs is one of about
            4.4.

    Layers: ``embed`` and ``block1`` ... (B, D, T/t, H/p, W/q); for "factorised" ``frames`` and
    ``time1`` ... (B, D, T/t, 1, 1); ``embedding`` (B, D).

    Raises:
        ValueError: unknown scheme, or sizes that do not divide each other.
    """

    inputs = ("clip",)

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        attention: str = "joint",
        patch: Triple = (2, 8, 8),
        width: int = 192,
        depth: int = 6,
        heads: int = 3,
        mlp_ratio: int = 4,
        temporal_depth: int = 2,
        position_std: float = POSITION_STD,
        pixel_gain: float = 1.0,
    ):
        super().__init__()
        channels, *size = check_clip_shape(clip_shape)
        patch = triple(patch)
        if attention not in SCHEMES:
            raise ValueError(f"attention must be one of {', '.join(SCHEMES)}, got {attention!r}")
        if any(side % part for side, part in zip(size, patch, strict=True)):
            raise ValueError(
                f"clips of {tuple(size)} (T, H, W) cannot be cut into tubelets of {patch}: each"
                " must divide its side"
            )
        if min(width, depth, heads) < 1 or width % heads:
            raise ValueError(
                "width, depth and heads must be at least 1 and width a multiple of heads, got"
                f" {width}, {depth} and {heads}"
            )
        grid = tuple(side // part for side, part in zip(size, patch, strict=True))
        self.attention = attention
        self.patch = patch
        self.grid = grid
        self.width = width
        timed = attention in ("joint", "divided")
        self.embed = TubeletEmbedding(
            channels, width, patch, grid, timed=timed, std=position_std, gain=pixel_gain
        )
        for number in range(1, depth + 1):
            block = Block(width, heads, mlp_ratio, SCHEMES[attention])
            self.add_module(f"block{number}", block)
        if attention == "factorised":
            self.frames = FrameTokens(width, grid[0])
            for number in range(1, temporal_depth + 1):
                block = Block(width, heads, mlp_ratio, ("time",))
                self.add_module(f"time{number}", block)
        self.embedding = MeanToken(width)
        self.layers = tuple(name for name, _ in self.named_children())

    def encode(self, tokens: Tensor) -> Tensor:
        """What lies between ``embed`` and ``embedding``.

        Args:
            tokens: (B, D, T/t, H/p, W/q); joint attention also takes any N tokens of a clip, as (B,
                D, N, 1, 1).

        Returns:
            Tokens of the same shape, (B, D, T/t, 1, 1) for "factorised".
        """
        for name in self.layers[1:-1]:
            tokens = self.get_submodule(name)(tokens)
        return tokens

    def forward(self, clip: Tensor) -> Tensor:
        """Embedding of a clip.

        Args:
            clip: (B, C, T, H, W) in [0, 1].

        Returns:
            (B, D).
        """
        tokens = self.encode(self.embed(clip))
        return self.embedding(tokens)
