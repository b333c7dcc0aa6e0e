"""Every way to get the flow of clips, by name.

* ``true``: the exact flow;
* ``true_box``: the exact flow as if each digit were the square that hides it in ``velocity_only``.
  The support of ``true`` shows the shape of the digits, so it tells what they are; this one tells
  their motion alone;
* ``dis``, ``farneback``: estimates from pixels.

Each also as ``<method>_backward``, whose field t leads from frame t+1 to frame t and lies where
things are in frame t+1: the flow of the reversed clip, put back into the order of time.
"""

import numpy as np

from vidrep.datasets.bouncing import square_patches
from vidrep.datasets.kind import EXACT_FLOWS
from vidrep.flow import BACKWARD, ESTIMATED_FLOWS, FLOWS
from vidrep.flow.estimate import estimate_flow
from vidrep.flow.exact import exact_flow


def needed_arrays(method: str) -> tuple[str, ...]:
    """Which of ``patches`` and ``corners`` a method wants beside the clips.

    Raises:
        ValueError: unknown method.
    """
    if method not in FLOWS:
        raise ValueError(f"unknown flow method {method!r}: choose one of {', '.join(FLOWS)}")
    exact = method.removesuffix(BACKWARD) in EXACT_FLOWS
    return ("patches", "corners") if exact else ()


def flow_of_clips(
    method: str,
    clips: np.ndarray,
    patches: np.ndarray | None = None,
    corners: np.ndarray | None = None,
) -> np.ndarray:
    """The flow of clips by any method.

    Args:
        method: one of ``FLOWS``.
        clips: (n, T, H, W) or (n, T, H, W, 3) uint8.
        patches: (n, k, p, p) uint8, what is drawn of each digit; see ``needed_arrays``.
        corners: (n, T, k, 2) int, top and left of each patch in pixels.

    Returns:
        (n, T-1, 2, H, W) float16, pixels.

    Raises:
        ValueError: unknown method, or arrays left out that it needs.
    """
    arrays = {"patches": patches, "corners": corners}
    if missing := [name for name in needed_arrays(method) if arrays[name] is None]:
        raise ValueError(f"no flow {method!r} without {', '.join(missing)} of the clips")
    if method.endswith(BACKWARD):
        turned = None if corners is None else corners[:, ::-1]
        flow = flow_of_clips(method.removesuffix(BACKWARD), clips[:, ::-1], patches, turned)
        return np.ascontiguousarray(flow[:, ::-1])
    if method in ESTIMATED_FLOWS:
        return estimate_flow(clips, method)
    if method == "true_box":
        patches = square_patches(patches.shape)
    height, width = clips.shape[2:4]
    return exact_flow(patches, corners, height, width)
