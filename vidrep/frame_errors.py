"""Errors of predicted frames, for training and for scores, summed over a frame's values.

Grey truth leaves the cross-entropy a positive floor: its own entropy.
"""

from torch import Tensor
from torch.nn import functional as F

# in the cross-entropy, predicted values stay this far from 0 and 1: one that is certain and wrong
# would make it infinite
MARGIN = 1e-6


def nats_per_frame(frames: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of each predicted frame in nats: (B, C, k, H, W) twice -> (B, k).

    Args:
        frames: predictions, which are cut to [``MARGIN``, 1 - ``MARGIN``].
        truth: in [0, 1].
    """
    probability = frames.clamp(MARGIN, 1 - MARGIN)
    return F.binary_cross_entropy(probability, truth, reduction="none").sum((1, 3, 4))


def nats_per_frame_of_logits(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy of flat frames in nats: (B, steps, frame_size) twice -> (B, steps)."""
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum(-1)


def squared_error_per_frame(frames: Tensor, truth: Tensor) -> Tensor:
    """Squared error of a frame, mean over frames: (B, C, k, H, W) twice -> (B,)."""
    squares = (frames - truth).square()
    return squares.sum((1, 3, 4)).mean(1)


def squared_error_of_flat_frames(frames: Tensor, truth: Tensor) -> Tensor:
    """The same of flat frames: (B, steps, frame_size) twice -> (B,)."""
    squares = (frames - truth).square()
    return squares.sum(-1).mean(-1)
