"""What runs answer where each clip has one label: a matrix of classes for each system."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.clip_scores import read_clip_scores
from vidrep.datasets.store import open_clips
from vidrep.readouts import PROBABILITIES
from vidrep.report.style import (
    Look,
    cell_text,
    colour_bar,
    contrast,
    looks,
    new_figure,
    panel_grid,
)

_PERCENT = (0.0, 100.0)
_CMAP = "cividis"
_COLUMNS = 4
_MOST_WRITTEN = 12  # classes whose counts are written into the cells


def draw(
    scores: list[Path],
    clips: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
    dataset: str,
) -> Figure:
    """The figure of one evaluation set; see its declaration."""
    with open_clips(clips[0]) as file:
        classes = list(map(str, file.attrs["classes"]))
    counts = {}
    for path in scores:
        run = read_clip_scores(path)
        if ("test", PROBABILITIES) in run.values:
            _, system, _ = path.stem.split("--")
            answers = run.of(PROBABILITIES).argmax(1)
            counts[system] = confusion(run.labels.argmax(1), answers, len(classes))
    return confusion_figure(counts, classes, titles[dataset], looks(families))


def confusion(truth: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) number of clips: rows truth, columns answer; both are (n,) numbers."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, answers), 1)
    return counts


def confusion_figure(
    counts: dict[str, np.ndarray], classes: list[str], dataset: str, looks: dict[str, Look]
) -> Figure:
    """A matrix for each system.

    Args:
        counts: system to (classes, classes) numbers of test clips, rows truth.
        classes: their names.
        dataset: the evaluation set.
        looks: look of each system, in the order of the panels.
    """
    systems = [name for name in looks if name in counts]
    n = int(next(iter(counts.values())).sum()) if counts else 0
    commonest = max((matrix.sum(1).max() for matrix in counts.values()), default=0)
    note = (
        f"First seed, {n:,} test clips. Rows: the class of a clip; columns: the answer; numbers:"
        f" clips; colour: share of the row. Above: accuracy and mean accuracy of the classes."
        f" Guessing: {100 / len(classes):.0f} %; the commonest class of the test clips:"
        f" {100 * commonest / max(n, 1):.0f} %."
    )
    columns = max(1, min(_COLUMNS, len(systems)))
    rows = max(1, -(-len(systems) // columns))
    figure = new_figure(
        1.9 + 3.3 * rows,
        width=2.6 + 2.9 * columns,
        title=f"Which class is taken for which? Answers on {dataset}",
        note=note,
    )
    panels = panel_grid(figure, max(1, len(systems)), columns)
    for axes, system in zip(panels, systems, strict=False):
        plot_matrix(counts[system], axes, classes=classes)
        accuracy, of_classes = accuracies(counts[system])
        axes.set_title(f"{system}\n{100 * accuracy:.0f} %, {100 * of_classes:.0f} %", loc="left")
    label = "share of the true class's clips / %"
    colour_bar(figure, panels, label, _PERCENT, _CMAP, shrink=0.7, aspect=30)
    return figure


def accuracies(counts: np.ndarray) -> tuple[float, float]:
    """Share of clips that are right, and mean over the classes that occur of the same."""
    shown = counts.sum(1) > 0
    of_classes = counts.diagonal()[shown] / counts.sum(1)[shown]
    return counts.trace() / counts.sum(), float(of_classes.mean())


def plot_matrix(counts: np.ndarray, axes: Axes, *, classes: list[str]) -> Axes:
    """One matrix, coloured by row."""
    cmap = matplotlib.colormaps[_CMAP]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap=cmap, vmin=0, vmax=1)
    if len(classes) <= _MOST_WRITTEN:
        for truth, answer in np.ndindex(*counts.shape):
            colour = contrast(cmap(shares[truth, answer]))
            text = str(counts[truth, answer])
            cell_text(axes, answer, truth, text, fontsize=6.5, color=colour)
    names = [name.replace("_", " ") for name in classes]
    axes.set_xticks(range(len(classes)), names, rotation=90)
    axes.set_yticks(range(len(classes)), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes
