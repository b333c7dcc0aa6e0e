"""The first test clips of every data set."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vidrep.datasets.store import open_clips
from vidrep.report.strips import FRAME_INCHES, plot_strip
from vidrep.report.style import new_figure
from vidrep.windows import first_rows

_SHOWN = 2  # clips of each data set


def draw(clips: list[Path], titles: dict[str, str]) -> Figure:
    """The figure of an experiment; see its declaration."""
    shown = {}
    labels = {}
    for path in clips:
        name = titles[path.parent.name]
        with open_clips(path) as file:
            classes = file.attrs["classes"]
            rows = range(_SHOWN)
            if "videos" in file.extras:  # one clip of each
                rows = first_rows(file.extras["videos"][:])[:_SHOWN]
            shown[name] = np.stack([file.clips[row] for row in rows])
            labels[name] = [label_text(file.labels[row], classes) for row in rows]
    return clip_figure(shown, labels)


def clip_figure(clips: dict[str, np.ndarray], labels: dict[str, list[str]]) -> Figure:
    """The first clips of every data set.

    Args:
        clips: data set to its first clips (k, T, H, W[, 3]).
        labels: data set to the label sets of these clips, as text.
    """
    lines = []
    for name, shown in clips.items():
        for clip, text in zip(shown, labels[name], strict=True):
            lines.append((clip, f"{name}\n{text}"))
    frames = max(len(clip) for clip, _ in lines)
    height = 1.0 + len(lines) * (FRAME_INCHES + 0.12)
    width = 2.0 + FRAME_INCHES * 1.03 * frames
    note = (
        "The first test clips of every data set. Versions of moving digits share starts and"
        " directions clip by clip. In braces: the labels. Numbers below: frames."
    )
    figure = new_figure(height, width=width, title="Clips of all data sets", note=note)
    panels = figure.subplots(len(lines), 1, squeeze=False)[:, 0]
    for place, (axes, (clip, label)) in enumerate(zip(panels, lines, strict=True)):
        last = place == len(lines) - 1
        plot_strip(clip, axes, label=label, count=frames, numbers=last)
    return figure


def label_text(labels: np.ndarray, classes: list[str]) -> str:
    """A clip's label set in words; ``labels`` is its multi-hot row."""
    shown = [name for name, present in zip(classes, labels, strict=True) if present]
    return "{" + ", ".join(shown) + "}"
