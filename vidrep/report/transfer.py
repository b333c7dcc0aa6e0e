"""Transfer between versions: a matrix of accuracies for every system."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.report.style import (
    Look,
    colour_bar,
    grid_height,
    looks,
    new_figure,
    panel_grid,
    write_cells,
)
from vidrep.report.tables import accuracy_rows, count_clips, error_bars, read_accuracy, sizes
from vidrep.runs import UNTRAINED

_PERCENT = (0.0, 100.0)
_CMAP = "cividis"
_COLUMNS = 6


def draw(
    accuracy: Path,
    clips: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
) -> Figure:
    """The figure of an experiment; see its declaration."""
    table = read_accuracy(accuracy, titles)
    return transfer_figure(table, count_clips(clips, titles), looks(families))


def transfer_figure(table: pd.DataFrame, clips: dict[str, int], looks: dict[str, Look]) -> Figure:
    """A matrix for each system, mean over its seeds: rows trained on, columns evaluated on.

    Args:
        table: accuracy.csv.
        clips: test clips of each data set.
        looks: look of each system, in the order of the panels.
    """
    rows = accuracy_rows(table)
    rows = rows[(rows["seed"] != UNTRAINED) & (rows["variant"] == "")]
    systems = [name for name in looks if name in set(rows["system"])]
    widest = max(error_bars(0.5, n).max() for n in clips.values())
    note = (
        f"Mean over seeds. n test clips: {sizes(clips)}; 95 % Wilson interval of one seed at most"
        f" ±{widest:.1f} points."
    )
    title = "Transfer: accuracy on one version after training on another"
    count = max(1, len(systems))
    columns = count if count <= _COLUMNS else -(-count // 2)
    height = 2.3 + grid_height(count, columns, 1.8)
    width = 2.6 + 1.6 * columns
    figure = new_figure(height, width=width, title=title, note=note)
    panels = panel_grid(figure, count, columns, sharex=True, sharey=True)
    for system, axes in zip(systems, panels, strict=False):
        plot_transfer(rows[rows["system"] == system], axes, datasets=list(clips))
        axes.set_title(system, loc="left")
    colour_bar(figure, panels, "accuracy / %", _PERCENT, _CMAP, shrink=0.7, aspect=30)
    return figure


def plot_transfer(rows: pd.DataFrame, axes: Axes, *, datasets: list[str]) -> Axes:
    """The transfer matrix of one system."""
    means = 100 * rows.pivot_table(index="trained_on", columns="evaluated_on", values="value")
    values = means.reindex(index=datasets, columns=datasets).to_numpy(float)
    axes.imshow(values, cmap=_CMAP, vmin=_PERCENT[0], vmax=_PERCENT[1])
    write_cells(axes, values, np.char.mod("%.1f", values), _PERCENT, _CMAP, size=7.5)
    axes.set_xticks(range(len(datasets)), datasets, rotation=90)
    axes.set_yticks(range(len(datasets)), datasets)
    axes.set(xlabel="tested on", ylabel="trained on")
    axes.label_outer()
    return axes
