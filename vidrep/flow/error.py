"""How far an estimated flow is from the truth, on the pixels that really move."""

from collections.abc import Iterable

import numpy as np


def endpoint_error(truth: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """End-point error: the length of the difference between two flow fields.

    Args:
        truth: (..., 2, H, W), pixels.
        estimate: the same shape.

    Returns:
        (..., H, W) float32 in pixels, NaN where the truth is zero.

    Raises:
        ValueError: shapes differ.
    """
    if truth.shape != estimate.shape:
        raise ValueError(f"true flow has shape {truth.shape}, the estimate {estimate.shape}")
    truth = truth.astype(np.float32)
    difference = estimate.astype(np.float32) - truth
    error = np.hypot(difference[..., 0, :, :], difference[..., 1, :, :])
    return np.where(truth.any(axis=-3), error, np.float32(np.nan))


def summarise_error(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Mean and median end-point error over all moving pixels of all clips.

    Args:
        pairs: (truth, estimate) of one block of clips after the other.

    Returns:
        ``epe_px``, ``epe_px_median`` (NaN if nothing moves) and ``moving_pixels``.
    """
    parts = [np.empty(0, np.float32)]
    for truth, estimate in pairs:
        error = endpoint_error(truth, estimate)
        parts.append(error[~np.isnan(error)])
    errors = np.concatenate(parts)
    if not len(errors):
        return {"epe_px": float("nan"), "epe_px_median": float("nan"), "moving_pixels": 0}
    return {
        "epe_px": float(errors.mean(dtype=np.float64)),
        "epe_px_median": float(np.median(errors)),
        "moving_pixels": len(errors),
    }
