"""Training clips mirrored left to right, with everything that goes with them.

Only for data whose classes survive it: a mirrored motion is as fast as before, but a mirrored digit
is none.
"""

import torch
from torch import Tensor

from vidrep.training.targets import TARGETS


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
        elif name in ("flow", "flow_backward"):
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
