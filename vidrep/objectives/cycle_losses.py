"""Losses on the embeddings of frames of several videos, all pairs of videos and all frames at once.

Dwibedi et al., CVPR 2019, arXiv 1904.07846, with the constants of the released code
(google-research/tcc); the baselines are time-contrastive networks (Sermanet et al., ICRA 2018,
arXiv 1704.06888) and shuffle and learn (Misra et al., ECCV 2016, arXiv 1603.08561) in that code's
form. Everything is float32, also under autocast: the losses are differences of near numbers.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

VARIANTS = ("regression", "classification", "mse")
# added to the variance, in squared shares of a clip's length: where one frame takes all it is 0
EPSILON = 1e-5


def similarities(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """-|a - b|^2 / D / temperature of all frames: (..., N, D) and (..., M, D) -> (..., N, M), at
    most 0.
    """
    squared = (
        a.square().sum(-1)[..., None]
        + b.square().sum(-1)[..., None, :]
        - 2 * a @ b.transpose(-1, -2)
    )
    return -squared.clamp(min=0) / a.shape[-1] / temperature


def cycle_back(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """From each frame of the first videos to its soft neighbour in the second ones and back.

    Args:
        first: (..., N, D).
        second: (..., M, D).
        temperature: of both softmaxes.

    Returns:
        (..., N, N): row i holds the logits of the frames that the cycle from frame i may end on.
    """
    neighbours = similarities(first, second, temperature).softmax(-1) @ second  # (..., N, D)
    return similarities(neighbours, first, temperature)


def cycle_loss(
    logits: Tensor, times: Tensor, variant: str, *, variance_weight: float, label_smoothing: float
) -> Tensor:
    """Loss of cycles that ought to end where they began.

    Args:
        logits: (..., N, N), see ``cycle_back``.
        times: (..., N), time of each frame as a share of its clip's length.
        variant: ``regression``, squared error of the mean end over the variance of the end, plus
            ``variance_weight`` times the logarithm of its standard deviation (as printed; the
            released code takes that of the variance); ``mse``, the squared error alone;
            ``classification``, cross-entropy against the start.
        variance_weight: the paper's lambda.
        label_smoothing: of the cross-entropy.

    Returns:
        (..., N).
    """
    count = logits.shape[-1]
    if variant == "classification":
        start = torch.arange(count, device=logits.device).expand(logits.shape[:-1])
        loss = F.cross_entropy(
            logits.flatten(0, -2),
            start.flatten(),
            reduction="none",
            label_smoothing=label_smoothing,
        )
        return loss.view(logits.shape[:-1])
    share = logits.softmax(-1)  # (..., N, N), (..., 1, N)
    ends = times[..., None, :]
    mean = (share * ends).sum(-1)  # (..., N)
    error = (times - mean).square()
    if variant == "mse":
        return error
    variance = (share * (ends - mean[..., None]).square()).sum(-1) + EPSILON
    return error / variance + variance_weight * 0.5 * variance.log()


def n_pairs(anchors: Tensor, positives: Tensor, l2: float) -> Tensor:
    """Each anchor must find its own positive among those of its video, by inner product.

    Args:
        anchors, positives: (..., N, D).
        l2: weight of the mean squared length of both.

    Returns:
        (...), nats and the penalty.

    Reference: Sohn, NIPS 2016.
    """
    own = torch.diagonal((anchors @ positives.transpose(-1, -2)).log_softmax(-1), dim1=-2, dim2=-1)
    lengths = anchors.square().sum(-1).mean(-1) + positives.square().sum(-1).mean(-1)
    return 0.25 * l2 * lengths - own.mean(-1)


def sorted_frames(clips: int, frames: int, count: int, device: torch.device) -> Tensor:
    """``count`` of ``frames`` frames of each clip, without repetition and in order: (clips, count)
    int.
    """
    return torch.rand(clips, frames, device=device).argsort(1)[:, :count].sort(1).values


def positives_of(anchors: Tensor, frames: int, window: int) -> Tensor:
    """For each anchor another frame at most ``window`` frames away: int like ``anchors``; needs 2
    frames.
    """
    below = anchors.clamp(max=window)
    choices = below + (frames - 1 - anchors).clamp(max=window)
    drawn = (
        (torch.rand(anchors.shape, device=anchors.device) * choices).long().clamp(max=choices - 1)
    )
    return anchors - below + drawn + (drawn >= below).long()


def order_triplets(frames: Tensor, shuffled_share: float) -> tuple[Tensor, Tensor]:
    """Three frames of a clip in order, or with the middle one taken from outside; either may run
    backwards.

    Args:
        frames: (..., 5) frame numbers, rising.
        shuffled_share: how many triplets are shuffled.

    Returns:
        (..., 3) frame numbers, and (...) int, 1 where shuffled.
    """
    shape = frames.shape[:-1]
    device = frames.device
    shuffled = torch.rand(shape, device=device) < shuffled_share
    outside = 4 * (torch.rand(shape, device=device) < 0.5).long()
    places = torch.stack(
        [torch.ones_like(outside), torch.where(shuffled, outside, 2), torch.full_like(outside, 3)],
        -1,
    )
    places = torch.where((torch.rand(shape, device=device) < 0.5)[..., None], 4 - places, places)
    return frames.gather(-1, places), shuffled.long()


def nearest_frames(query: Tensor, other: Tensor) -> Tensor:
    """Place of the nearest frame by Euclidean distance, the first of equally near ones.

    Args:
        query: (..., N, D).
        other: (..., M, D).

    Returns:
        (..., N) int.
    """
    return torch.cdist(query, other, compute_mode="donot_use_mm_for_euclid_dist").argmin(-1)
