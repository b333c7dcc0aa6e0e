"""Two-stream network: one stream sees single frames, the other stacks of flow fields.

Simonyan & Zisserman, NIPS 2014, arXiv 1406.2199. Both streams have the layout of
``vidrep.models.cnn_m``; flow stacks are made by ``vidrep.models.flow_stacks``.

Deviations:
* torch's default weight initialisation, no ImageNet weights;
* test samples are evenly spaced positions of the clip, without crops and flips; both streams live
  in one module, so that an objective may train them side by side. They share nothing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidrep.models.blocks import check_clip_shape
from vidrep.models.cnn_m import CNN_M, Stream
from vidrep.models.flow_stacks import FlowStacks


class SpatialStream(Stream):
    """The spatial stream: single frames of clips.

    Args:
        clip_shape: (C, T, H, W).
        samples, convs, dense, norm, dropout: see ``Stream``.
    """

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        samples: int,
        convs: Sequence[Sequence[int]],
        dense: Sequence[int],
        norm: str,
        dropout: float,
    ):
        channels, _, height, width = check_clip_shape(clip_shape)
        super().__init__(
            (channels, height, width),
            samples=samples,
            convs=convs,
            dense=dense,
            norm=norm,
            local_norms=2,
            dropout=dropout,
        )

    def forward(self, clip: Tensor) -> Tensor:
        """Embeddings (B, S, D) of the frames at sampled positions of a clip (B, C, T, H, W)."""
        places = self.positions(len(clip), clip.shape[2]).to(clip.device)  # (B, S)
        number = torch.arange(len(clip), device=clip.device)[:, None]
        images = clip.transpose(1, 2)[number, places]  # (B, S, C, H, W)
        return self.features(images.transpose(1, 2))


class TemporalStream(Stream):
    """The temporal stream: stacks of flow fields at sampled positions.

    It is a network of its own or half of ``TwoStream``.

    Args:
        clip_shape: (C, T, H, W); the flow has T-1 fields.
        stack: flow fields per stack, L.
        trajectory, bidirectional, subtract_mean: how stacks are made, see
            ``vidrep.models.flow_stacks``.
        samples, convs, dense, norm, dropout: see ``Stream``.

    Raises:
        ValueError: the clips have fewer than ``stack`` flow fields, or a parameter is out of range.
    """

    stacks_flow = True
    inputs = ("flow",)  # and the backward flow of bidirectional stacks

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        stack: int = 10,
        trajectory: bool = False,
        bidirectional: bool = False,
        subtract_mean: bool = True,
        samples: int = 5,
        convs: Sequence[Sequence[int]] = CNN_M,
        dense: Sequence[int] = (4096, 2048),
        norm: str = "local",
        dropout: float = 0.9,
    ):
        _, frames, height, width = check_clip_shape(clip_shape)
        if subtract_mean and (height, width) == (1, 1):
            raise ValueError(
                "flow of a single pixel is nothing once its mean is subtracted: use larger clips"
            )
        stacks = FlowStacks(
            frames,
            stack,
            trajectory=trajectory,
            bidirectional=bidirectional,
            subtract_mean=subtract_mean,
        )
        super().__init__(
            (stacks.channels, height, width),
            samples=samples,
            convs=convs,
            dense=dense,
            norm=norm,
            local_norms=1,  # the paper drops the second, to save memory
            dropout=dropout,
        )
        self.stacks = stacks
        self.inputs = stacks.inputs

    def forward(self, flow: Tensor, flow_backward: Tensor | None = None) -> Tensor:
        """Embeddings of flow stacks.

        Args:
            flow: (B, 2, T-1, H, W) in pixels, from frame t to t+1.
            flow_backward: the same from frame t+1 to t, for bidirectional stacks.

        Returns:
            (B, S, D); S is 1 in training.
        """
        starts = self.positions(len(flow), self.stacks.count).to(flow.device)
        return self.features(self.stacks(starts, flow, flow_backward))


class Join(nn.Module):
    """Both streams side by side, averaged over their samples: (B, S, D) twice -> (B, 2D).

    Classifiers see the streams apart.
    """

    def forward(self, spatial: Tensor, temporal: Tensor) -> Tensor:
        return torch.cat([spatial.mean(1), temporal.mean(1)], dim=1)


class TwoStream(nn.Module):
    """Spatial stream on frames, temporal stream on flow stacks.

    In training each clip gives one random frame and one random stack, drawn from torch's global
    generator. In evaluation it gives up to ``samples`` evenly spaced ones of each.

    Args:
        clip_shape: (C, T, H, W); the flow has T-1 fields.
        stack, trajectory, bidirectional, subtract_mean: of the temporal stream, see
            ``TemporalStream``.
        samples, convs, dense, norm, dropout: of both streams, see ``Stream``.

    Layers: ``spatial.conv1`` ..., ``temporal.conv1`` ... (B, C, S, H, W); ``spatial.full*``,
    ``temporal.full*`` (B, S, D); ``embedding`` (B, 2D), both streams joined.

    Raises:
        ValueError: the clips have fewer than ``stack`` flow fields, or a parameter is out of range.
    """

    stacks_flow = True
    inputs = ("clip", "flow")  # and the backward flow of bidirectional stacks

    def __init__(
        self,
        clip_shape: Sequence[int],
        *,
        stack: int = 10,
        trajectory: bool = False,
        bidirectional: bool = False,
        subtract_mean: bool = True,
        samples: int = 5,
        convs: Sequence[Sequence[int]] = CNN_M,
        dense: Sequence[int] = (4096, 2048),
        norm: str = "local",
        dropout: float = 0.9,
    ):
        super().__init__()
        self.spatial = SpatialStream(
            clip_shape, samples=samples, convs=convs, dense=dense, norm=norm, dropout=dropout
        )
        self.temporal = TemporalStream(
            clip_shape,
            stack=stack,
            trajectory=trajectory,
            bidirectional=bidirectional,
            subtract_mean=subtract_mean,
            samples=samples,
            convs=convs,
            dense=dense,
            norm=norm,
            dropout=dropout,
        )
        self.embedding = Join()
        self.inputs = ("clip", *self.temporal.inputs)
        self.layers = (
            *(f"spatial.{name}" for name in self.spatial.layers),
            *(f"temporal.{name}" for name in self.temporal.layers),
            "embedding",
        )

    def forward(
        self,
        clip: Tensor,
        flow: Tensor,
        flow_backward: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Embeddings of the sampled frames and flow stacks.

        Args:
            clip: (B, C, T, H, W) in [0, 1].
            flow: (B, 2, T-1, H, W) in pixels, from frame t to t+1.
            flow_backward: the same from frame t+1 to t, for bidirectional stacks.

        Returns:
            ``spatial`` and ``temporal``, both (B, S, D); S is 1 in training.
        """
        spatial = self.spatial(clip)
        temporal = self.temporal(flow, flow_backward)
        self.embedding(spatial, temporal)  # its activations can be read; streams are trained apart
        return {"spatial": spatial, "temporal": temporal}
