"""Training clips mirrored left to right or cropped, with everything that goes with them.

Only for data whose classes survive it: a mirrored motion is as fast as before, but a mirrored digit
is none, and what is cropped must not lie at the edge.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrep.training.targets import TARGETS

FLOWS = ("flow", "flow_backward")


def augment(batch: dict[str, Tensor], recipe: dict) -> dict[str, Tensor]:
    """A batch cropped and mirrored as a recipe's ``crop`` and ``flip`` say."""
    return flip_some(crop_some(batch, recipe["crop"]), recipe["flip"])


def crop_some(batch: dict[str, Tensor], sides: list[float]) -> dict[str, Tensor]:
    """Crop each clip of a batch and enlarge it to its size again.

    A clip's side is drawn from ``sides``, its place from the four corners and the middle; all its
    frames are cropped alike. Flow is enlarged too: what is shown larger moves farther. The choices
    are drawn from torch's global generator, on the CPU.

    Args:
        batch: of ``vidrep.training.split.Split``.
        sides: shares of height and width in (0, 1]; none leaves the batch as it is.

    Returns:
        A new batch.

    Reference: Wang et al., Towards good practices for very deep two-stream ConvNets (2015).
    """
    if not sides:
        return batch
    count = len(batch["clip"])
    chosen = torch.randint(len(sides), (count,)).tolist()
    places = torch.randint(len(PLACES), (count,)).tolist()
    result = dict(batch)
    for name in ("clip", *FLOWS):
        if name in batch:
            clips = [
                crop(clip, sides[side], PLACES[place], moving=name in FLOWS)
                for clip, side, place in zip(batch[name], chosen, places, strict=True)
            ]
            result[name] = torch.stack(clips)
    return result


# where a crop lies in the room that it leaves, down and to the right
PLACES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))


def crop(clip: Tensor, side: float, place: tuple[float, float], *, moving: bool) -> Tensor:
    """One clip or flow (C, T, H, W), cropped and as large as before.

    Args:
        clip: frames, or displacements in pixels.
        side: share of height and width that stays.
        place: where, down and to the right, from 0 to 1.
        moving: are these displacements (x, y)?
    """
    height, width = clip.shape[2:]
    kept = (round(side * height), round(side * width))
    if kept == (height, width):
        return clip
    top = round(place[0] * (height - kept[0]))
    left = round(place[1] * (width - kept[1]))
    cut = clip[:, :, top : top + kept[0], left : left + kept[1]]
    large = F.interpolate(
        cut.transpose(0, 1), (height, width), mode="bilinear", align_corners=False
    ).transpose(0, 1)
    if not moving:
        return large
    scale = large.new_tensor([width / kept[1], height / kept[0]])
    return large * scale[:, None, None, None]


def flip_some(batch: dict[str, Tensor], probability: float) -> dict[str, Tensor]:
    """Mirror each clip of a batch with a probability.

    All frames of a clip are mirrored or none. Mirrored flow also has its x component negated: what
    moved right now moves left. The choices are drawn from torch's global generator, and made on the
    CPU so that every device draws the same ones.

    Args:
        batch: of ``vidrep.training.split.Split``.
        probability: 0 leaves the batch as it is and draws nothing.

    Returns:
        A new batch.
    """
    if probability == 0:
        return batch
    chosen = torch.rand(len(batch["clip"])) < probability
    mirrored = flip(batch)
    result = {}
    for name, values in batch.items():
        result[name] = choose(chosen.to(values.device), mirrored[name], values)
    return result


def flip(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch with every clip mirrored; labels and row numbers stay."""
    mirrored = dict(batch)
    for name, values in batch.items():
        if name == "clip":
            mirrored[name] = values.flip(-1)
        elif name in FLOWS:
            mirrored[name] = flip_flow(values)
        elif name in TARGETS:
            order = list(TARGETS[name].mirrored)  # its own inverse, as a mirror is
            mirrored[name] = values[:, order]
    return mirrored


def flip_flow(flow: Tensor) -> Tensor:
    """Flow (B, 2, T-1, H, W) of mirrored clips."""
    sign = torch.tensor([-1.0, 1.0], device=flow.device)  # of x and y
    return flow.flip(-1) * sign[:, None, None, None]


def choose(chosen: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Rows of ``yes`` where ``chosen`` (B,), else of ``no``."""
    ones = [1] * (no.ndim - 1)
    return torch.where(chosen.view(-1, *ones), yes, no)
