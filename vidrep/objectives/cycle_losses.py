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
    """-|a - b|^2 / D / temperature of all pairs of frames, at most 0.

    Args:
        a: (..., N, D).
        b: (..., M, D).
        temperature: a larger one makes similarities more alike.

    Returns:
        (..., N, M).
    """
    square_a = a.square().sum(-1)[..., None]  # (..., N, 1)
    square_b = b.square().sum(-1)[..., None, :]  # (..., 1, M)
    product = 2 * a @ b.transpose(-1, -2)  # (..., N, M)
    squared = square_a + square_b - product
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
    shares = similarities(first, second, temperature).softmax(-1)  # (..., N, M)
    neighbours = shares @ second  # (..., N, D)
    return similarities(neighbours, first, temperature)


def cycle_loss(
    logits: Tensor,
    times: Tensor,
    variant: str,
    *,
    variance_weight: float,
    label_smoothing: float,
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
    share = logits.softmax(-1)  # (..., N, N)
    ends = times[..., None, :]  # (..., 1, N)
    mean = (share * ends).sum(-1)  # (..., N)
    error = (times - mean).square()
    if variant == "mse":
        return error
    deviations = (ends - mean[..., None]).square()
    variance = (share * deviations).sum(-1) + EPSILON
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
    products = anchors @ positives.transpose(-1, -2)  # (..., N, N)
    own = torch.diagonal(products.log_softmax(-1), dim1=-2, dim2=-1)  # (..., N)
    anchor_lengths = anchors.square().sum(-1).mean(-1)
    positive_lengths = positives.square().sum(-1).mean(-1)
    penalty = 0.25 * l2 * (anchor_lengths + positive_lengths)
    return penalty - own.mean(-1)


def sorted_frames(clips: int, frames: int, count: int, device: torch.device) -> Tensor:
    """``count`` of the frames of each clip, in order, without repetition: (clips, count) int."""
    mixed = torch.rand(clips, frames, device=device).argsort(1)
    return mixed[:, :count].sort(1).values


def positives_of(anchors: Tensor, frames: int, window: int) -> Tensor:
    """For each anchor another frame at most ``window`` frames away.

    Args:
        anchors: frame numbers, int of any shape.
        frames: how many there are, at least 2.
        window: largest distance.

    Returns:
        Frame numbers of the same shape.
    """
    below = anchors.clamp(max=window)  # candidates before the anchor
    above = (frames - 1 - anchors).clamp(max=window)
    choices = below + above
    share = torch.rand(anchors.shape, device=anchors.device)
    drawn = (share * choices).long().clamp(max=choices - 1)
    skips_anchor = (drawn >= below).long()
    return anchors - below + drawn + skips_anchor


def order_triplets(frames: Tensor, shuffled_share: float) -> tuple[Tensor, Tensor]:
    """Three frames of a clip in order, or shuffled; either may run backwards.

    Shuffled ones have their middle frame taken from outside the other two.

    Args:
        frames: (..., 5) frame numbers, rising.
        shuffled_share: how many triplets are shuffled.

    Returns:
        (..., 3) frame numbers, and (...) int, 1 where shuffled.
    """
    shape = frames.shape[:-1]
    device = frames.device
    shuffled = torch.rand(shape, device=device) < shuffled_share
    outside = 4 * (torch.rand(shape, device=device) < 0.5).long()  # place 0 or 4
    first = torch.ones_like(outside)
    middle = torch.where(shuffled, outside, 2)
    last = torch.full_like(outside, 3)
    places = torch.stack([first, middle, last], -1)  # (..., 3)
    backwards = torch.rand(shape, device=device) < 0.5
    places = torch.where(backwards[..., None], 4 - places, places)
    return frames.gather(-1, places), shuffled.long()


def nearest_frames(query: Tensor, other: Tensor) -> Tensor:
    """Place of the nearest frame by Euclidean distance, the first of equally near ones.

    Args:
        query: (..., N, D).
        other: (..., M, D).

    Returns:
        (..., N) int.
    """
    distances = torch.cdist(query, other, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.argmin(-1)
