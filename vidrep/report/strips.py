"""Film strips: frames side by side, and the wheel that is the legend of flow in colours."""

from pathlib import Path

import h5py
import numpy as np
from matplotlib.axes import Axes

from vidrep.flow.colour import colour_wheel
from vidrep.report.style import GREY

_GAP = 2  # pixels between frames
FRAME_INCHES = 0.56


def read_arrays(path: Path, count: int | None = None) -> dict[str, np.ndarray]:
    """The arrays of an HDF5 file by name, the first ``count`` rows of each."""
    with h5py.File(path, "r") as file:
        return {name: value[:count] for name, value in file.items()}


def strip(frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W[, 3]) uint8 side by side, white gaps between them: (H, width, 3) uint8."""
    if frames.ndim == 3:
        frames = np.repeat(frames[..., None], 3, axis=-1)
    white = np.full((frames.shape[1], _GAP, 3), 255, np.uint8)
    pieces = [piece for frame in frames for piece in (frame, white)]
    return np.concatenate(pieces[:-1], axis=1)


def plot_strip(
    frames: np.ndarray,
    axes: Axes,
    *,
    label: str,
    first: int = 0,
    count: int | None = None,
    numbers: bool = True,
) -> Axes:
    """A strip of frames.

    Args:
        frames: (T, H, W[, 3]) uint8.
        axes: where to draw.
        label: left of the strip.
        first: number of the first frame.
        count: leave room for that many frames.
        numbers: write the frames' numbers below?
    """
    width = frames.shape[2]
    pitch = width + _GAP
    axes.imshow(strip(frames), aspect="equal")
    if numbers:
        middles = pitch * np.arange(len(frames)) + (width - 1) / 2
        axes.set_xticks(middles, range(first, first + len(frames)))
    else:
        axes.set_xticks([])
    axes.set_xlim(-0.5, pitch * (count or len(frames)) - _GAP - 0.5)
    axes.set_yticks([])
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=1)
    return axes


def longest_px(flow: np.ndarray) -> float:
    """The longest vector of flow (n, k, 2, H, W), for the rim of the wheel; never 0."""
    x, y = np.moveaxis(flow.astype(np.float32), 2, 0)
    return max(float(np.hypot(x, y).max()), 1e-6)


def plot_wheel(axes: Axes, rim_px: float) -> Axes:
    """The legend of flow pictures; the rim stands for ``rim_px``."""
    axes.imshow(colour_wheel(151), extent=(-1, 1, 1, -1))
    axes.set_axis_off()
    axes.set_title(f"rim: {rim_px:.1f} px\nper frame", fontsize=7.5, pad=14)
    for x, y, name in ((0, 1.18, "down"), (0, -1.18, "up")):
        axes.text(x, y, name, ha="center", va="center", fontsize=7, color=GREY)
    return axes
