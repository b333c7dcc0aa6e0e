"""Accuracy of every system on the versions it was trained on."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vidrep.report.style import INK, Look, looks, new_figure
from vidrep.report.tables import (
    FLOOR,
    accuracy_rows,
    count_clips,
    interval_name,
    line_name,
    own_rows,
    read_accuracy,
    result_bars,
    result_lines,
    sizes,
)
from vidrep.runs import UNTRAINED


def draw(
    accuracy: Path,
    clips: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
) -> Figure:
    """The figure of an experiment; see its declaration."""
    table = read_accuracy(accuracy, titles)
    return accuracy_figure(table, count_clips(clips, titles), looks(families))


def accuracy_figure(table: pd.DataFrame, clips: dict[str, int], looks: dict[str, Look]) -> Figure:
    """Test accuracy of every system, one panel per version it was trained and tested on.

    Args:
        table: accuracy.csv.
        clips: test clips of each data set.
        looks: look of each system, in the order of the rows.
    """
    rows = accuracy_rows(table)
    lines = result_lines(rows, looks)
    note = (
        f"Dots: one seed each; bars: {interval_name(clips)} (n: {sizes(clips)}). "
        "Numbers: mean over the trained seeds; \u2191: validation was still rising when training"
        " ended. Most probable set: the answer is the likeliest label set; else each class has a"
        " threshold."
    )
    title = "Accuracy on the test clips of the version a system was trained on"
    figure = new_figure(1.5 + 0.3 * len(lines), title=title, note=note)
    panels = figure.subplots(1, len(clips), sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, clips, strict=True):
        shown = own_rows(rows, dataset)
        plot_accuracy(shown, axes, lines=lines, looks=looks, n=clips[dataset])
        axes.set_title(dataset, loc="left")
    panels[0].set_yticks(range(len(lines)), list(map(line_name, lines)))
    panels[0].set_ylim(max(1, len(lines)) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=INK, marker="o", ls="", label="trained"),
        Line2D([], [], color=INK, marker="o", ls="", mfc="white", label="untrained baseline"),
        Line2D([], [], color=INK, ls=(0, (2, 2)), lw=1, label="always the commonest label set"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3)
    return figure


def plot_accuracy(
    rows: pd.DataFrame,
    axes: Axes,
    *,
    lines: list[tuple[str, str]],
    looks: dict[str, Look],
    n: int,
) -> Axes:
    """Dots with intervals of the results on one version, ``lines`` from top to bottom."""
    for value in rows.loc[rows["system"] == FLOOR, "value"]:
        axes.axvline(100 * value, color=INK, ls=(0, (2, 2)), lw=1)
    for place, (system, variant) in enumerate(lines):
        found = rows[(rows["system"] == system) & (rows["variant"] == variant)]
        look = looks[system]
        offsets = _spread(len(found))
        for offset, row in zip(offsets, found.itertuples(index=False), strict=True):
            face = "white" if row.seed == UNTRAINED else look.colour
            axes.errorbar(
                100 * row.value,
                place + offset,
                xerr=result_bars(row.value, row.ci_low, row.ci_high, n),
                fmt=look.marker,
                color=look.colour,
                mfc=face,
                mew=1.1,
                elinewidth=1.1,
            )
        trained = found[found["seed"] != UNTRAINED]
        if len(trained):
            rising = "\u2191 " if (trained["converged"] == "no").any() else ""
            mean = f"{rising}{100 * trained['value'].mean():.1f}"
            axes.text(113, place, mean, ha="right", va="center", fontsize=7)
    axes.set(xlim=(-2, 114), xticks=range(0, 101, 20), xlabel="accuracy / %")
    axes.spines["bottom"].set_bounds(0, 100)
    axes.grid(axis="x")
    axes.tick_params(left=False)
    return axes


def _spread(count: int) -> np.ndarray:
    """Small vertical offsets that keep ``count`` dots of one line apart."""
    step = min(0.2, 0.6 / max(1, count))
    return (np.arange(count) - (count - 1) / 2) * step
