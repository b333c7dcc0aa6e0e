"""Clips and their flow as a moving camera or a mirror shows them."""

from dataclasses import replace

import numpy as np
import torch

from vidrep.training.split import Split

DIRECTIONS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
SWING = (0, 1, 2, 1, 0, -1, -2, -1)  # pixels that the camera has moved by, frame by frame


def pan(split: Split, seed: int = 0, *, camera: bool = True) -> Split:
    """The split as a camera sees it that swings along one of eight directions for each clip.

    It swings by up to two pixels, one a frame: a steady pan would soon have lost everything from a
    small picture. What leaves the picture comes in on the other side. Without ``camera`` clips and
    flow are rolled likewise, but flow does not hold the camera's own motion.
    """
    chosen = np.random.default_rng(seed).integers(len(DIRECTIONS), size=len(split))
    steps = np.array(DIRECTIONS)[chosen]  # (n, 2) as (y, x)
    swing = np.resize(SWING, split.clips.shape[1])
    clips = split.clips.clone()
    flow = split.flow.clone()
    for i, t in np.ndindex(clips.shape[:2]):
        shift = tuple(swing[t] * steps[i])
        clips[i, t] = clips[i, t].roll(shift, (0, 1))
    for i, t in np.ndindex(flow.shape[:2]):
        shift = tuple(swing[t] * steps[i])
        flow[i, t] = flow[i, t].roll(shift, (1, 2))
        if camera:
            motion = (swing[t + 1] - swing[t]) * steps[i]
            motion = torch.from_numpy(motion[::-1].astype(np.float16))  # (2,) as (x, y)
            flow[i, t] += motion[:, None, None]
    return replace(split, clips=clips, flow=flow)


def mirrored(split: Split, *, sign: bool) -> Split:
    """The split mirrored left to right; flow is turned round along x only with ``sign``."""
    flow = split.flow.flip(-1)
    if sign:
        flow[:, :, 0] *= -1
    return replace(split, clips=split.clips.flip(-1), flow=flow)
