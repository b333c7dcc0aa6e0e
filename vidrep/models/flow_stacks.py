"""What a temporal stream is fed: stacks of flow fields, four ways.

Simonyan & Zisserman, NIPS 2014, arXiv 1406.2199, section 3.

* plain: every pixel of a stack shows what happens at its own place;
* trajectory: it shows the motion of the thing that was there at first, followed from field to
  field;
* bidirectional: half the fields lead onwards from the middle frame, half back from it;
* mean subtraction: each field loses its mean vector, a crude correction of camera motion. Places
  are followed along the full motion, as that is where things go.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FlowStacks(nn.Module):
    """Stacks of L flow fields as images of 2L channels.

    Args:
        frames: T of the clips, whose flow has T-1 fields.
        length: fields per stack, L.
        trajectory: sample fields along trajectories.
        bidirectional: L/2 forward fields after frame tau, then L/2 backward fields before it, both
            going away from it.
        subtract_mean: remove from each field its mean vector.

    Attributes:
        inputs: ``("flow",)``, with ``"flow_backward"`` for bidirectional stacks.
        channels: 2L.
        count: number of stacks that fit into a clip.

    Raises:
        ValueError: a stack does not fit into the clip, or has an odd length though it is
            bidirectional.
    """

    def __init__(
        self,
        frames: int,
        length: int,
        *,
        trajectory: bool = False,
        bidirectional: bool = False,
        subtract_mean: bool = True,
    ):
        super().__init__()
        if not 1 <= length <= frames - 1:
            raise ValueError(
                f"clips of {frames} frames have {frames - 1} flow fields; a stack of {length} does"
                " not fit"
            )
        if bidirectional and length % 2:
            raise ValueError(
                f"a bidirectional stack has as many fields after its frame as before it; {length}"
                " is odd"
            )
        self.length = length
        self.trajectory = trajectory
        self.bidirectional = bidirectional
        self.subtract_mean = subtract_mean
        self.inputs = ("flow", "flow_backward") if bidirectional else ("flow",)
        self.channels = 2 * length
        self.count = frames - length

    def forward(self, starts: Tensor, flow: Tensor, flow_backward: Tensor | None = None) -> Tensor:
        """Cut stacks out of the flow of clips.

        Args:
            starts: (B, S) first field that each stack covers, from 0 to ``count`` - 1; the middle
                frame of a bidirectional stack is L/2 later.
            flow: (B, 2, T-1, H, W) displacement in pixels from frame t to t+1.
            flow_backward: the same from frame t+1 to t, for bidirectional stacks.

        Returns:
            (B, 2L, S, H, W); channels 2k and 2k+1 are x and y of a stack's k-th field.
        """
        fields = starts[:, :, None] + torch.arange(self.length, device=starts.device)  # (B, S, L)
        if not self.bidirectional:
            return self.cut(flow, fields)
        before, after = fields.chunk(2, dim=2)
        onwards = self.cut(flow, after)
        back = self.cut(flow_backward, before.flip(2))
        return torch.cat([onwards, back], dim=1)

    def cut(self, flow: Tensor, fields: Tensor) -> Tensor:
        """Stacks of some fields of the flow, in their order.

        Args:
            flow: (B, 2, T-1, H, W) in pixels.
            fields: (B, S, L) int, numbers of fields.

        Returns:
            (B, 2L, S, H, W).
        """
        clips = torch.arange(len(flow), device=flow.device)[:, None, None]
        stacks = flow.transpose(1, 2)[clips, fields]  # (B, S, L, 2, H, W)
        means = stacks.mean(dim=(4, 5), keepdim=True)
        if self.trajectory:
            followed = follow(stacks.flatten(0, 1))  # (B * S, L, 2, H, W)
            stacks = followed.unflatten(0, fields.shape[:2])
        if self.subtract_mean:
            stacks = stacks - means
        return stacks.flatten(2, 3).transpose(1, 2)  # (B, 2L, S, H, W)


def follow(stacks: Tensor) -> Tensor:
    """Flow along trajectories: the k-th field is read where the fields before it have led.

    Places lie between pixels: they are read bilinearly, and held at the border where they leave the
    picture.

    Args:
        stacks: (N, L, 2, H, W) in pixels.

    Returns:
        (N, L, 2, H, W): at p_1, p_2, ..., where p_1 is the pixel itself and p_(k+1) = p_k +
        field_k(p_k).
    """
    height, width = stacks.shape[-2:]
    pixels = pixel_grid(height, width, device=stacks.device)
    place = pixels.expand(len(stacks), -1, -1, -1)  # (N, 2, H, W)
    seen = []
    for number, field in enumerate(stacks.unbind(1)):
        if number > 0:
            field = sample(field, place)
        seen.append(field)
        place = place + field
    return torch.stack(seen, dim=1)


def pixel_grid(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(2, height, width): x and y of every pixel."""
    rows = torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y]).float()


def sample(field: Tensor, place: Tensor) -> Tensor:
    """Read a field between its pixels, bilinearly, clamped to the picture.

    Args:
        field: (N, C, H, W).
        place: (N, 2, H', W'), x and y in pixels.

    Returns:
        (N, C, H', W').
    """
    height, width = field.shape[-2:]
    x, y = place.unbind(1)
    # pixel 0 lies half a pixel inside -1
    grid_x = (2 * x + 1) / width - 1
    grid_y = (2 * y + 1) / height - 1
    grid = torch.stack([grid_x, grid_y], dim=-1)  # (N, H', W', 2)
    return F.grid_sample(field, grid, mode="bilinear", padding_mode="border", align_corners=False)
