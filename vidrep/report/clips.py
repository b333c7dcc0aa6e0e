"""The same test clips in every version of the data set."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vidrep.datasets.store import open_clips
from vidrep.report.strips import FRAME_INCHES, plot_strip
from vidrep.report.style import new_figure
from vidrep.windows import first_rows

_SHOWN = 2  # clips of each version


def draw(clips: list[Path], titles: dict[str, str]) -> Figure:
    """The figure of an experiment; see its declaration."""
    shown = {}
    labels = {}
    for path in clips:
        version = titles[path.parent.name]
        with open_clips(path) as file:
            classes = file.attrs["classes"]
            rows = range(_SHOWN)
            if "videos" in file.extras:  # one clip of each
                rows = first_rows(file.extras["videos"][:])[:_SHOWN]
            shown[version] = np.stack([file.clips[row] for row in rows])
            labels[version] = [label_text(file.labels[row], classes) for row in rows]
    return clip_figure(shown, labels)


def clip_figure(clips: dict[str, np.ndarray], labels: dict[str, list[str]]) -> Figure:
    """The same clips in every version.

    Args:
        clips: version to its first clips (k, T, H, W[, 3]).
        labels: version to the label sets of these clips, as text.
    """
    lines = []
    for version, shown in clips.items():
        for clip, text in zip(shown, labels[version], strict=True):
            lines.append((clip, f"{version}\n{text}"))
    frames = max(len(clip) for clip, _ in lines)
    height = 1.0 + len(lines) * (FRAME_INCHES + 0.12)
    width = 2.0 + FRAME_INCHES * 1.03 * frames
    note = (
        "The first test clips of every version; rendered versions have the same starts and"
        " directions. In braces: the labels. Numbers below: frames."
    )
    figure = new_figure(height, width=width, title="Clips of the versions", note=note)
    panels = figure.subplots(len(lines), 1, squeeze=False)[:, 0]
    for place, (axes, (clip, label)) in enumerate(zip(panels, lines, strict=True)):
        last = place == len(lines) - 1
        plot_strip(clip, axes, label=label, count=frames, numbers=last)
    return figure


def label_text(labels: np.ndarray, classes: list[str]) -> str:
    """A clip's label set in words; ``labels`` is its multi-hot row."""
    shown = [name for name, present in zip(classes, labels, strict=True) if present]
    return "{" + ", ".join(shown) + "}"
