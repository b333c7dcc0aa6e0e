"""Kendall's rank correlation of many index sequences at once: are the frames matched to a video's
frames in order?
"""

import torch
from torch import Tensor


def kendall_tau(matched: Tensor) -> Tensor:
    """Tau-b of sequences against 0 .. n-1.

    Args:
        matched: (..., n) numbers, n at least 1.

    Returns:
        (...) float32: 1 for a rising sequence, -1 for a falling one; 0 where it is undefined, that
        is where all numbers are the same. (Leaving those out would make a collapsed embedding look
        better than it is.)

    Reference: Kendall, Biometrika 33 (1945).
    """
    n = matched.shape[-1]
    earlier, later = torch.triu_indices(n, n, 1, device=matched.device)
    signs = (matched[..., later] - matched[..., earlier]).sign().float()
    untied = signs.abs().sum(-1)
    return signs.sum(-1) / (untied * (n * (n - 1) / 2)).sqrt().clamp(min=1)


def nearest_frames(query: Tensor, other: Tensor) -> Tensor:
    """Place of the nearest frame by Euclidean distance, the first of equally near ones.

    Args:
        query: (..., N, D).
        other: (..., M, D).

    Returns:
        (..., N) int.
    """
    return torch.cdist(query, other, compute_mode="donot_use_mm_for_euclid_dist").argmin(-1)
