"""Two-stream network: one stream sees single frames, the other stacks of flow fields (Simonyan & Zisserman, arXiv 1406.2199).

The default is the CNN-M-2048 layout of the paper.

Deviations:
* same padding everywhere and 3x3 pooling with padding, so that 64 px frames still leave 2x2 maps before the dense layers;
* local response normalisation with the constants of Krizhevsky et al. (2012), which the paper does not state;
* torch's default weight initialisation, no ImageNet weights;
* test samples are evenly spaced positions of the clip, without crops and flips; both streams live in one module, so that an
  objective may train them side by side. They share nothing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidrep.models.blocks import FlattenFrames, check_clip_shape, same_padding

CNN_M = ((96, 7, 2, 2), (256, 5, 2, 2), (512, 3, 1, 1), (512, 3, 1, 1), (512, 3, 1, 2))
NORMS = ("local", "batch")


def stack_flow(flow: Tensor, starts: Tensor, length: int) -> Tensor:
    """Stacks of consecutive flow fields.

    Args:
        flow: (B, 2, T-1, H, W).
        starts: (B, S) index of the first field of each stack.
        length: fields per stack, L.

    Returns:
        (B, 2L, S, H, W); channels 2k and 2k+1 of a stack are x and y of its k-th field.
    """
    fields = starts[:, :, None] + torch.arange(length, device=starts.device)  # (B, S, L)
    clips = torch.arange(len(flow), device=starts.device)[:, None, None]
    stacks = flow.transpose(1, 2)[clips, fields]  # (B, S, L, 2, H, W)
    return stacks.flatten(2, 3).transpose(1, 2)  # (B, 2L, S, H, W)


class Stream(nn.Module):
    """A network over single images; S images of a clip lie on the time axis, where nothing mixes them.

    Args:
        shape: (C, H, W) of an image.
        convs: (channels, kernel, stride, pool) each; ``pool`` 2 is 3x3 with stride 2, 1 is none.
        dense: widths of the fully connected layers, at least one.
        norm: "local" after the first ``local_norms`` convolutions, or "batch" after all.
        local_norms: see ``norm``.
        dropout: after each fully connected layer.

    Layers: ``conv1`` ... (B, C, S, H, W) after pooling, ``full<n>`` ... (B, S, D).
    """

    def __init__(self, shape: Sequence[int], *, convs, dense: Sequence[int], norm: str, local_norms: int, dropout: float):
        super().__init__()
        width, *size = shape
        for number, (channels, kernel, stride, pool) in enumerate(convs, start=1):
            pad = same_padding((1, kernel, kernel))
            layer = nn.Sequential(
                nn.Conv3d(width, channels, (1, kernel, kernel), (1, stride, stride), pad), nn.ReLU(inplace=True)
            )
            if norm == "batch":
                layer.append(nn.BatchNorm3d(channels))
            elif number <= local_norms:
                layer.append(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))  # torch divides alpha by the size
            if pool != 1:
                layer.append(nn.MaxPool3d((1, 3, 3), stride=(1, pool, pool), padding=(0, 1, 1)))
            self.add_module(f"conv{number}", layer)
            width, size = channels, [-(-side // (stride * pool)) for side in size]
        features = width * size[0] * size[1]
        for number, units in enumerate(dense, start=len(convs) + 1):
            flatten = [FlattenFrames()] if number == len(convs) + 1 else []
            self.add_module(f"full{number}", nn.Sequential(*flatten, nn.Linear(features, units), nn.ReLU(), nn.Dropout(dropout)))
            features = units
        self.layers = tuple(name for name, _ in self.named_children())

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, S, H, W) -> (B, S, D)."""
        for name in self.layers:
            images = self.get_submodule(name)(images)
        return images


class Join(nn.Module):
    """Both streams side by side, averaged over their samples: (B, S, D) twice -> (B, 2D). Classifiers see the streams apart."""

    def forward(self, spatial: Tensor, temporal: Tensor) -> Tensor:
        return torch.cat([spatial.mean(1), temporal.mean(1)], dim=1)


class TwoStream(nn.Module):
    """Spatial stream on frames, temporal stream on flow stacks.

    In training each clip gives one random frame and one random stack, drawn from torch's global generator. In evaluation it
    gives up to ``samples`` evenly spaced ones of each.

    Args:
        clip_shape: (C, T, H, W); the flow has T-1 fields.
        stack: flow fields per stack, L.
        samples: positions per clip in evaluation.
        subtract_mean: remove from each flow field its mean vector (a crude correction of camera motion).
        convs, dense, norm, dropout: of both streams, see ``Stream``.

    Layers: ``spatial.conv1`` ..., ``temporal.conv1`` ... (B, C, S, H, W); ``spatial.full*``, ``temporal.full*`` (B, S, D);
    ``embedding`` (B, 2D), both streams joined.

    Raises:
        ValueError: the clips have fewer than ``stack`` flow fields, or a parameter is out of range.
    """

    inputs = ("clip", "flow")

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        stack: int = 10,
        samples: int = 5,
        subtract_mean: bool = True,
        convs: Sequence[Sequence[int]] = CNN_M,
        dense: Sequence[int] = (4096, 2048),
        norm: str = "local",
        dropout: float = 0.9,
    ):
        super().__init__()
        channels, frames, *size = check_clip_shape(clip_shape)
        if not 1 <= stack <= frames - 1:
            raise ValueError(f"clips of {frames} frames have {frames - 1} flow fields; a stack of {stack} does not fit")
        if norm not in NORMS or not dense or samples < 1:
            raise ValueError(f"norm must be one of {NORMS}, dense not empty, samples positive; got {norm!r}, {dense}, {samples}")
        self.stack, self.samples, self.subtract_mean = stack, samples, subtract_mean
        shared = {"convs": convs, "dense": dense, "norm": norm, "dropout": dropout}
        self.spatial = Stream((channels, *size), local_norms=2, **shared)
        self.temporal = Stream((2 * stack, *size), local_norms=1, **shared)  # the paper drops the second, to save memory
        self.embedding = Join()
        streams = {"spatial": self.spatial, "temporal": self.temporal}
        self.layers = (*(f"{prefix}.{name}" for prefix, stream in streams.items() for name in stream.layers), "embedding")

    def forward(self, clip: Tensor, flow: Tensor) -> dict[str, Tensor]:
        """Embeddings of the sampled frames and flow stacks.

        Args:
            clip: (B, C, T, H, W) in [0, 1].
            flow: (B, 2, T-1, H, W) in pixels.

        Returns:
            ``spatial`` and ``temporal``, both (B, S, D); S is 1 in training.
        """
        frames = self._positions(len(clip), clip.shape[2]).to(clip.device)
        images = clip.transpose(1, 2)[torch.arange(len(clip), device=clip.device)[:, None], frames]  # (B, S, C, H, W)
        if self.subtract_mean:
            flow = flow - flow.mean(dim=(3, 4), keepdim=True)
        starts = self._positions(len(flow), flow.shape[2] - self.stack + 1).to(flow.device)
        stacks = stack_flow(flow, starts, self.stack)  # (B, 2L, S, H, W)
        spatial, temporal = self.spatial(images.transpose(1, 2)), self.temporal(stacks)
        self.embedding(spatial, temporal)  # a layer to be opened up; the streams are trained apart
        return {"spatial": spatial, "temporal": temporal}

    def _positions(self, batch: int, count: int) -> Tensor:
        """(B, S) positions out of ``count``, made on the CPU so that every device draws the same ones."""
        if self.training:
            return torch.randint(count, (batch, 1))
        return torch.linspace(0, count - 1, min(self.samples, count)).round().long().expand(batch, -1)
