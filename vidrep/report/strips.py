"""Film strips: clips of the versions, flow beside its truth, reconstructions and predictions."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.flow.colour import colour_flow, colour_wheel
from vidrep.report.style import GREY, new_figure

_GAP = 2  # pixels between frames
_FRAME_INCHES = 0.56


def strip(frames: np.ndarray) -> np.ndarray:
    """Frames (T, H, W) or (T, H, W, 3) uint8 side by side, white gaps between them: (H, width, 3)
    uint8.
    """
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
    """A strip with the frames' ``numbers`` below it, counted from ``first``; ``count`` leaves room
    for that many frames.
    """
    width = frames.shape[2]
    axes.imshow(strip(frames), aspect="equal")
    if numbers:
        axes.set_xticks(
            (width + _GAP) * np.arange(len(frames)) + (width - 1) / 2,
            range(first, first + len(frames)),
        )
    else:
        axes.set_xticks([])
    axes.set_xlim(-0.5, (width + _GAP) * (count or len(frames)) - _GAP - 0.5)
    axes.set_yticks([])
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=1)
    return axes


def label_text(labels: np.ndarray, classes: list[str]) -> str:
    """A clip's label set in words; ``labels`` is its multi-hot row."""
    return (
        "{"
        + ", ".join(name for name, present in zip(classes, labels, strict=True) if present)
        + "}"
    )


def clip_figure(clips: dict[str, np.ndarray], labels: dict[str, list[str]]) -> Figure:
    """The same clips in every version.

    Args:
        clips: version to its first clips (k, T, H, W[, 3]).
        labels: version to the label sets of these clips, as text.
    """
    frames = max(len(clip) for version in clips.values() for clip in version)
    height = 1.0 + sum(map(len, clips.values())) * (_FRAME_INCHES + 0.12)
    note = (
        "The first test clips of every version: same starts, same directions. In braces: the"
        " labels. Numbers below: frames."
    )
    figure = new_figure(
        height, width=2.0 + _FRAME_INCHES * 1.03 * frames, title="Clips of the versions", note=note
    )
    panels = figure.subplots(sum(map(len, clips.values())), 1, squeeze=False)[:, 0]
    lines = [
        (version, clip, text)
        for version in clips
        for clip, text in zip(clips[version], labels[version], strict=True)
    ]
    for place, (axes, (version, clip, text)) in enumerate(zip(panels, lines, strict=True)):
        plot_strip(
            clip, axes, label=f"{version}\n{text}", count=frames, numbers=place == len(lines) - 1
        )
    return figure


def flow_figure(
    clips: np.ndarray, flows: dict[str, np.ndarray], dataset: str, errors: dict[str, float]
) -> Figure:
    """Clips, their true flow and its estimates, in the colours of the wheel.

    Args:
        clips: the first clips, (k, T, H, W[, 3]).
        flows: method to their flow (k, T-1, 2, H, W), in pixels; the truth, or else the first one,
            sets the scale.
        dataset: for the title.
        errors: method to mean end-point error in pixels over the whole split.
    """
    methods = sorted(flows, key=lambda method: method != "true")
    longest = max(
        float(np.hypot(*np.moveaxis(flows[methods[0]].astype(np.float32), 2, 0)).max()), 1e-6
    )
    count, frames = clips.shape[:2]
    rows = count * (1 + len(flows))
    note = (
        "Flow at t: displacement from frame t to t+1; all pictures share the scale of the wheel. "
        "EPE: mean end-point error on the moving pixels of all test clips."
    )
    height = 1.0 + rows * (_FRAME_INCHES + 0.14)
    width = 3.0 + _FRAME_INCHES * 1.03 * frames
    figure = new_figure(
        height, width=width, title=f"Optical flow on {dataset}: truth and estimates", note=note
    )
    left, right = figure.subfigures(1, 2, width_ratios=[width - 1.3, 1.3])
    panels = iter(left.subplots(rows, 1, squeeze=False)[:, 0])
    for i in range(count):
        plot_strip(clips[i], next(panels), label=f"clip {i}", count=frames, numbers=False)
        for method in methods:
            error = f"\nEPE {errors[method]:.2f} px" if method in errors else ""
            pictures = colour_flow(flows[method][i], longest)
            last = method == methods[-1]
            plot_strip(pictures, next(panels), label=f"{method}{error}", count=frames, numbers=last)
    plot_wheel(right.subplots(), longest)
    return figure


def plot_wheel(axes: Axes, longest_px: float) -> Axes:
    """The legend of flow pictures; the rim stands for ``longest_px``."""
    axes.imshow(colour_wheel(151), extent=(-1, 1, 1, -1))
    axes.set_axis_off()
    axes.set_title(f"rim: {longest_px:.1f} px\nper frame", fontsize=7.5, pad=14)
    for x, y, name in ((0, 1.18, "down"), (0, -1.18, "up")):
        axes.text(x, y, name, ha="center", va="center", fontsize=7, color=GREY)
    return axes


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
    width = max(2.2 + _FRAME_INCHES * 1.03 * sum(steps), 6.0) + wheel
    height = 1.1 + len(rows) * count * (_FRAME_INCHES + 0.1)
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
