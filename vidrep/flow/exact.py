"""Exact flow of generated clips.

The displacement of a pixel is that of the patch as it is drawn, so whole pixels, from frame t to
t+1: not the sub-pixel motion behind it. Frame t+1, read at the displaced place, therefore repeats
frame t exactly wherever digits do not overlap. The support is the digits' lit pixels at frame t,
black background has no flow; where lit pixels overlap, the brighter digit wins, as it does in the
picture, and of equally bright ones the first drawn.
"""

import numpy as np


def exact_flow(
    patches: np.ndarray,
    corners: np.ndarray,
    height: int,
    width: int | None = None,
) -> np.ndarray:
    """True flow of clips of moving patches.

    Args:
        patches: (n, k, p, p) uint8, what is drawn of each digit.
        corners: (n, T, k, 2) int, top and left of each patch in pixels.
        height, width: of the canvas in pixels; without a width it is square.

    Returns:
        (n, T-1, 2, height, width) float16, pixels.
    """
    n, frames, digits, _ = corners.shape
    width = height if width is None else width
    side = np.arange(patches.shape[-1])
    moves = np.diff(corners.astype(np.int32), axis=1)  # (n, T-1, k, 2) as (y, x)
    displacement = moves[..., ::-1].astype(np.float16)
    flow = np.zeros((n, frames - 1, 2, height, width), np.float16)
    brightest = np.zeros((n, frames - 1, height, width), np.uint8)
    clip = np.arange(n)[:, None, None, None]
    frame = np.arange(frames - 1)[None, :, None, None]
    for digit in range(digits):
        rows = corners[:, :-1, digit, 0, None, None] + side[:, None]
        columns = corners[:, :-1, digit, 1, None, None] + side
        place = (clip, frame, rows, columns)
        patch = patches[:, None, digit]  # below: (n, T-1, p, p)
        below = brightest[place]
        wins = patch > below
        brightest[place] = np.maximum(patch, below)
        for axis in range(2):
            moved = displacement[:, :, digit, axis, None, None]
            layer = flow[:, :, axis]  # a view
            layer[place] = np.where(wins, moved, layer[place])
    return flow
