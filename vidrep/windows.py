"""Several clips that are windows of one video: wherever a video counts once, they are averaged.

Clips of one video stand one after another, and ``videos`` gives each the number of its video, which
rises. Data sets without it have one clip a video.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

_DIGEST_LENGTH = 8


def first_rows(videos: np.ndarray) -> np.ndarray:
    """The row of the first clip of each video."""
    return np.flatnonzero(np.diff(videos, prepend=videos[:1].astype(int) - 1))


def cuts(count: int, size: int, videos: np.ndarray | None) -> list[slice]:
    """Slices of about ``size`` clips that hold whole videos and together all ``count`` clips."""
    if videos is None:
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]
    firsts = [*first_rows(videos).tolist(), count]
    found = []
    start = 0
    for this, following in pairwise(firsts):
        if following - start > size and this > start:
            found.append(slice(start, this))
            start = this
    found.append(slice(start, count))
    return found


def mean_of_videos(values: np.ndarray, videos: np.ndarray | None) -> np.ndarray:
    """Means (videos, ...) of values (n, ...) over the clips of each video."""
    if videos is None:
        return values
    starts = first_rows(videos)
    counts = np.diff(starts, append=len(videos))
    totals = np.add.reduceat(np.asarray(values, np.float64), starts, axis=0)
    means = totals / counts.reshape(-1, *[1] * (values.ndim - 1))
    return means.astype(values.dtype if values.dtype.kind == "f" else np.float64)


def first_of_videos(values: Sequence, videos: np.ndarray | None) -> list:
    """What the first clip of each video has, such as its group."""
    if videos is None:
        return list(values)
    return [values[row] for row in first_rows(videos)]


def names_of_videos(ids: Sequence[str], videos: np.ndarray | None) -> list[str]:
    """Names of videos from the names of their clips, with a digest of all of them.

    Two videos of one name are therefore the same video, cut into the same clips.
    """
    if videos is None:
        return list(ids)
    starts = first_rows(videos).tolist()
    names = []
    for start, end in zip(starts, [*starts[1:], len(videos)], strict=True):
        digest = hashlib.sha256("\n".join(ids[start:end]).encode()).hexdigest()
        whole = ids[start].rpartition("#")[0]
        names.append(f"{whole}-{digest[:_DIGEST_LENGTH]}")
    return names


def share(values: Tensor, videos: Tensor | None) -> Tensor:
    """Values (B, ...) of clips, each replaced by the mean over the clips of its video.

    Args:
        values: of whole videos.
        videos: (B,) numbers of their videos; None where each clip is one.
    """
    if videos is None:
        return values
    import torch  # those who read tables do without

    _, place, counts = torch.unique(videos, return_inverse=True, return_counts=True)
    totals = values.new_zeros(len(counts), *values.shape[1:]).index_add_(0, place, values)
    means = totals / counts.view(-1, *[1] * (values.ndim - 1))
    return means[place]
