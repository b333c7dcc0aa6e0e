"""Clips and what a run makes of them: reconstructions and predictions beside the truth."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.flow.colour import colour_flow
from vidrep.report.naming import run_title
from vidrep.report.strips import FRAME_INCHES, plot_strip, plot_wheel, read_arrays
from vidrep.report.style import new_figure

_SHOWN = 4  # clips

# What is shown of each clip: left the frames that are seen, right those that follow.
GENERATED_ROWS = (
    ("observed", "future"),
    ("masked", None),
    ("reconstruction", "prediction"),
    (None, "flow"),
    (None, "true_flow"),
)
_GENERATION_NOTE = (
    "Frames are numbered as in the clip. The network sees the frames on the left only;"
    " reconstructions stand in input order."
)


def draw(frames: Path, dataset: str, system: str) -> Figure:
    """The figure of one run; see its declaration."""
    return generation_figure(read_arrays(frames, _SHOWN), run_title(dataset, system))


def generation_figure(generated: dict[str, np.ndarray], run: str) -> Figure:
    """Clips and what a run makes of them: input above reconstruction on the left, future above
    prediction on the right.

    Args:
        generated: ``observed``, ``future`` and where there are ``masked``, ``reconstruction``,
            ``prediction``: (n, frames, H, W[, 3]) uint8; where there are ``flow``, ``true_flow``:
                (n, k, 2, H, W) in pixels, the first one from the last observed frame
            to the first future one.
        run: for the title.
    """
    generated = {name: value for name, value in generated.items() if value.shape[1]}
    columns = 2 if "future" in generated else 1
    rows = [
        row[:columns] for row in GENERATED_ROWS if any(name in generated for name in row[:columns])
    ]
    last = [
        [name for name in column if name in generated][-1] for column in zip(*rows, strict=True)
    ]
    longest = _longest(generated)
    steps = [generated[name].shape[1] for name in rows[0]]
    count = len(generated["observed"])
    wheel = 1.3 if longest else 0
    width = max(2.2 + FRAME_INCHES * 1.03 * sum(steps), 6.0) + wheel
    height = 1.1 + len(rows) * count * (FRAME_INCHES + 0.1)
    note = _GENERATION_NOTE + (
        " Flow stands under the frame that it leads to, in the colours of the wheel."
        if longest
        else ""
    )
    part = figure = new_figure(height, width=width, title=f"Drawn by {run}", note=note)
    if longest:
        part, right = figure.subfigures(1, 2, width_ratios=[width - wheel, wheel])
        plot_wheel(right.subplots(), longest)
    panels = iter(part.subplots(len(rows) * count, columns, squeeze=False, width_ratios=steps))
    for i in range(count):
        for row in rows:
            for axes, name, lowest, first in zip(
                next(panels), row, last, (0, steps[0])[:columns], strict=True
            ):
                plot_generated(
                    generated,
                    name,
                    i,
                    axes,
                    first=first,
                    numbers=name == lowest,
                    longest_px=longest,
                )
    return figure


def _longest(generated: dict[str, np.ndarray]) -> float:
    """The length in pixels that the rim of the wheel stands for: of the true flow, or else of what
    is shown; 0 without flow.
    """
    flow = generated.get("true_flow", generated.get("flow"))
    return (
        0.0
        if flow is None
        else max(float(np.hypot(*np.moveaxis(flow.astype(np.float32), 2, 0)).max()), 1e-6)
    )


def plot_generated(
    generated: dict[str, np.ndarray],
    name: str | None,
    i: int,
    axes: Axes,
    *,
    first: int,
    numbers: bool,
    longest_px: float,
) -> Axes:
    """Strip ``name`` of clip ``i``, flow in colours; an empty panel where the run generates no such
    frames.
    """
    if name not in generated:
        axes.set_axis_off()
        return axes
    frames = (
        colour_flow(generated[name][i], longest_px) if name.endswith("flow") else generated[name][i]
    )
    return plot_strip(frames, axes, label=name.replace("_", " "), first=first, numbers=numbers)
