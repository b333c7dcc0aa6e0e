"""Flow estimated from pixels, with OpenCV.

* ``dis``: dense inverse search (Kroeger et al., ECCV 2016, arXiv 1603.03590), the medium preset
  refined down to full resolution;
* ``farneback``: polynomial expansion (Farneback, SCIA 2003).

Frames whose shorter side is below ``WORK_SIDE`` are enlarged by a whole factor first, because the
patches and pyramids of both methods are made for larger pictures; the flow is averaged back and
divided by the factor, so it is in pixels of the clip. On 20 px digits this halves the end-point
error of both; on smooth textures it makes Farneback's vectors a tenth too short.
"""

from collections.abc import Callable

import cv2
import numpy as np

WORK_SIDE = 40  # px


def estimate_flow(clips: np.ndarray, method: str) -> np.ndarray:
    """Estimate the flow of clips.

    Args:
        clips: (n, T, H, W) or (n, T, H, W, 3) uint8.
        method: a key of ``METHODS``.

    Returns:
        (n, T-1, 2, H, W) float16, pixels.

    Raises:
        ValueError: unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"unknown flow method {method!r}: choose one of {', '.join(METHODS)}")
    cv2.setNumThreads(1)  # the same bytes on every machine
    estimator = METHODS[method]()
    n, frames, height, width = clips.shape[:4]
    flow = np.empty((n, frames - 1, 2, height, width), np.float16)
    factor = -(-WORK_SIDE // min(height, width))
    for i, clip in enumerate(clips):
        pictures = [_prepare(frame, factor) for frame in clip]
        for t in range(frames - 1):
            field = estimator(pictures[t], pictures[t + 1])  # (H, W, 2) at the enlarged size
            if factor > 1:
                field = cv2.resize(field, (width, height), interpolation=cv2.INTER_AREA) / factor
            flow[i, t] = np.moveaxis(field, 2, 0)
    return flow


def _prepare(frame: np.ndarray, factor: int) -> np.ndarray:
    """A grey, contiguous picture, enlarged by ``factor``."""
    if frame.ndim == 3:
        frame = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    if factor > 1:
        frame = cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(frame)


def _dis() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    return lambda first, second: search.calc(first, second, None)


def _farneback() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    options = {
        "pyr_scale": 0.5,
        "levels": 3,
        "winsize": 11,
        "iterations": 3,
        "poly_n": 7,
        "poly_sigma": 1.5,
        "flags": 0,
    }
    return lambda first, second: cv2.calcOpticalFlowFarneback(first, second, None, **options)


METHODS = {"dis": _dis, "farneback": _farneback}
