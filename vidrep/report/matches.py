"""A few test videos beside the frames of other videos that a run matches to them."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.report.naming import run_title
from vidrep.report.strips import read_arrays
from vidrep.report.style import class_colours, new_figure, panel_grid

_FRAME_INCHES = 0.5
_SHOWN = 16  # frames of a strip


def draw(matches: Path, titles: dict[str, str], dataset: str, system: str) -> Figure:
    """The figure of one run; see its declaration."""
    return matches_figure(read_arrays(matches), run_title(dataset, system, titles))


def matches_figure(matches: dict[str, np.ndarray], run: str) -> Figure:
    """Query videos, and below each the frames matched to it; bars tell the true phases.

    Args:
        matches: as ``vidrep.alignment.job.write_matches`` writes them; empty for a run that embeds
            no frames.
        run: for the title.
    """
    title = f"Videos aligned by {run}"
    if not matches:
        note = "This run has no embedding for each frame: nothing to align."
        return new_figure(1.2, title=title, note=note)
    queries, lines, frames = matches["phase"].shape
    taken = np.linspace(0, frames - 1, min(_SHOWN, frames)).round().astype(int)
    note = (
        "Top of each block: frames of a test video in their order. Below: frames of other videos"
        " with the nearest embeddings. Bars: the true phase of the frame above, that is how many"
        " walls have been hit; columns of one colour are aligned."
    )
    width = 1.6 + _FRAME_INCHES * len(taken)
    height = 1.0 + queries * lines * (_FRAME_INCHES + 0.14)
    figure = new_figure(height, width=width, title=title, note=note)
    panels = panel_grid(figure, queries * lines, 1)
    for place, axes in enumerate(panels):
        query, line = divmod(place, lines)
        name = "query" if line == 0 else "matched"
        clip = matches["clips"][query, line][taken]
        phase = matches["phase"][query, line][taken]
        label = f"{name}, digit {matches['digit'][query, line]}"
        plot_matched(clip, phase, axes, label=label)
    return figure


def plot_matched(clip: np.ndarray, phase: np.ndarray, axes: Axes, *, label: str) -> Axes:
    """Frames (k, H, W[, 3]) side by side with a bar below each in the colour of its phase."""
    colours = class_colours(10)
    height, width = clip.shape[1:3]
    for i, (frame, number) in enumerate(zip(clip, phase, strict=True)):
        left = i * (width + 2)
        right = left + width
        axes.imshow(frame, extent=(left, right, height, 0), cmap="gray", vmin=0, vmax=255)
        axes.fill_between((left, right), height + 1, height + 4, color=colours[number], lw=0)
    axes.set(
        xlim=(0, len(clip) * (width + 2)),
        ylim=(height + 4, 0),
        xticks=[],
        yticks=[],
        aspect="equal",
    )
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    axes.spines[:].set_visible(False)
    return axes
