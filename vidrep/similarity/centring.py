"""Activations as rows and feature blocks, centred without losing digits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

EPS = float(np.finfo(np.float64).eps)
BLOCK_BYTES = 32 * 2**20  # float64 size of one feature block


def stored_eps(dtype: np.dtype) -> float:
    """Relative spacing of stored numbers; integers are taken as exact."""
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else EPS


def as_rows(x, name: str = "") -> np.ndarray:
    """An (n, features) NumPy view of an array or tensor of shape (n, ...)."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        if str(x.dtype) == "torch.bfloat16":  # NumPy has no such numbers
            x = x.float()
        x = x.numpy()
    x = np.asarray(x)
    if x.ndim < 2 or 0 in x.shape or x.dtype.kind not in "fiub":
        raise ValueError(
            f"{name or 'representation'}: expected real numbers of shape (clips, features, ...),"
            f" got {x.dtype} {x.shape}"
        )
    return x.reshape(len(x), -1)


def feature_blocks(x: np.ndarray, block_features: int | None = None) -> Iterator[np.ndarray]:
    """Slices of ``x`` (n, d) over all rows, each of at most ``block_features`` columns."""
    step = block_features or max(1, BLOCK_BYTES // (8 * len(x)))
    for start in range(0, x.shape[1], step):
        yield x[:, start : start + step]


def check_finite(block: np.ndarray, name: str) -> None:
    finite = np.isfinite(block)
    if not finite.all():
        row = int(np.argmin(finite.all(axis=1)))
        raise ValueError(
            f"{name or 'representation'}: activations of clip {row} (counted from 0) are not finite"
        )


def centre_single(block: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """``centre`` of numbers stored in single precision or less.

    No more is lost than by rounding its result to float32.

    The mean is subtracted in two parts that add up to it in float64: the first difference is exact
    where cancellation is strong.
    """
    block = block.astype(np.float32, copy=False)
    mean = block.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        check_finite(block, name)
    high = mean.astype(np.float32)
    low = mean - high
    # rounding of the sum; a constant column becomes exactly zero
    low[np.abs(low) <= len(block) * EPS * np.abs(mean)] = 0
    centred = block - high
    centred -= low.astype(np.float32)
    return centred, mean


def centre(block: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A block (n, f) centred in float64, and its column means.

    A constant column becomes exactly zero.
    """
    check_finite(block, name)
    centred = block.astype(np.float64)
    first = centred[0].copy()
    centred -= first
    mean = centred.mean(axis=0)
    centred -= mean
    return centred, first + mean
