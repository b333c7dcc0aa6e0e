"""Pooling policies: how much of a layer's time and space is kept.

``none`` keeps everything; ``space_mean`` averages over height and width and keeps time; ``[t, h,
w]`` averages into a grid of at most t x h x w cells, so that layers of all depths and families keep
a comparable amount of layout.
"""

from torch import Tensor
from torch.nn import functional as F

Policy = str | list[int]


def parse_policy(words: list[str]) -> Policy:
    """The policy that a command line gives: one word, or three numbers.

    Raises:
        ValueError: anything else.
    """
    if len(words) == 3 and all(word.isdecimal() and int(word) for word in words):
        return [int(word) for word in words]
    if words in (["none"], ["space_mean"]):
        return words[0]
    raise ValueError(f"--pooling: {' '.join(words)!r}; give none, space_mean or a grid T H W")


def by_clip(activation: Tensor, rows: int) -> Tensor:
    """One layer's activations with one row a clip, where a model was fed windows of clips.

    Args:
        activation: (B*rows, C, T, H, W), (B*rows, T, D) or (B*rows, D).
        rows: windows of a clip.

    Returns:
        (B, C, rows*T, H, W), (B, rows*T, D) or (B, rows, D): the windows one after another in time.
    """
    if rows == 1:
        return activation
    windows = activation.unflatten(0, (-1, rows))  # (B, rows, ...)
    if activation.ndim == 5:
        return windows.transpose(1, 2).flatten(2, 3)
    if activation.ndim == 3:
        return windows.flatten(1, 2)
    return windows


def pool(activation: Tensor, policy: Policy) -> Tensor:
    """One layer's activations of a batch, pooled.

    Args:
        activation: (B, C, T, H, W), (B, T, D) or (B, D).
        policy: "none", "space_mean" or [t, h, w].

    Returns:
        (B, C, t, h, w) or (B, C, T); (B, t, D); (B, D).

    Raises:
        ValueError: an activation of another form, or an unknown policy.
    """
    if activation.ndim not in (2, 3, 5):
        raise ValueError(
            "a layer's activations must be (B, C, T, H, W), (B, T, D) or (B, D); got shape"
            f" {tuple(activation.shape)}"
        )
    if policy == "none" or activation.ndim == 2:
        return activation
    if policy == "space_mean":
        return activation.mean((3, 4)) if activation.ndim == 5 else activation
    if isinstance(policy, str):
        raise ValueError(
            f"config key activations.pooling: {policy!r}; give none, space_mean or a grid [t, h, w]"
        )
    if activation.ndim == 3:
        steps = min(policy[0], activation.shape[1])
        by_feature = activation.transpose(1, 2)  # (B, D, T)
        return F.adaptive_avg_pool1d(by_feature, steps).transpose(1, 2)
    grid = [min(cells, size) for cells, size in zip(policy, activation.shape[2:], strict=True)]
    return F.adaptive_avg_pool3d(activation, grid)
