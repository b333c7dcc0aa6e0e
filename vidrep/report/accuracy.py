"""Accuracy: systems against versions, transfer between versions, and what it costs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from vidrep.report.style import (
    INK,
    Look,
    colour_bar,
    grid_height,
    new_figure,
    panel_grid,
    write_cells,
)
from vidrep.report.tables import FLOOR, accuracy_rows, line_name, result_lines, sizes
from vidrep.runs import UNTRAINED
from vidrep.statistics import wilson_interval

_PERCENT = (0.0, 100.0)
_CMAP = "cividis"
_COLUMNS = 6


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
        f"Dots: one seed each; bars: 95 % Wilson interval over test clips (n: {sizes(clips)}). "
        "Numbers: mean over the trained seeds."
    )
    title = "Accuracy on the test clips of the version a system was trained on"
    figure = new_figure(1.5 + 0.3 * len(lines), title=title, note=note)
    panels = figure.subplots(1, len(clips), sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, clips, strict=True):
        shown = rows[
            (rows["evaluated_on"] == dataset)
            & ((rows["trained_on"] == dataset) | (rows["system"] == FLOOR))
        ]
        plot_accuracy(shown, axes, lines=lines, looks=looks, n=clips[dataset]).set_title(
            dataset, loc="left"
        )
    panels[0].set_yticks(range(len(lines)), list(map(line_name, lines)))
    panels[0].set_ylim(max(1, len(lines)) - 0.5, -0.5)
    handles = [
        Line2D([], [], color=INK, marker="o", ls="", label="trained"),
        Line2D([], [], color=INK, marker="o", ls="", mfc="white", label="untrained twin"),
        Line2D([], [], color=INK, ls=(0, (2, 2)), lw=1, label="always the commonest label set"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3)
    return figure


def plot_accuracy(
    rows: pd.DataFrame, axes: Axes, *, lines: list[tuple[str, str]], looks: dict[str, Look], n: int
) -> Axes:
    """Dots with Wilson intervals for the rows of one version; ``lines`` are the (system, variant)
    from top to bottom.
    """
    for value in rows.loc[rows["system"] == FLOOR, "value"]:
        axes.axvline(100 * value, color=INK, ls=(0, (2, 2)), lw=1)
    for place, (system, variant) in enumerate(lines):
        found = rows[(rows["system"] == system) & (rows["variant"] == variant)]
        look = looks[system]
        for offset, (seed, value) in zip(
            _spread(len(found)), found[["seed", "value"]].itertuples(index=False), strict=True
        ):
            low, high = wilson_interval(value, n)
            face = "white" if seed == UNTRAINED else look.colour
            error = 100 * np.array([[value - low], [high - value]]).clip(0)
            axes.errorbar(
                100 * value,
                place + offset,
                xerr=error,
                fmt=look.marker,
                color=look.colour,
                mfc=face,
                mew=1.1,
                elinewidth=1.1,
            )
        trained = found.loc[found["seed"] != UNTRAINED, "value"]
        if len(trained):
            axes.text(
                113, place, f"{100 * trained.mean():.1f}", ha="right", va="center", fontsize=7
            )
    axes.set(xlim=(-2, 114), xticks=range(0, 101, 20), xlabel="accuracy / %")
    axes.spines["bottom"].set_bounds(0, 100)
    axes.grid(axis="x")
    axes.tick_params(left=False)
    return axes


def transfer_figure(table: pd.DataFrame, clips: dict[str, int], looks: dict[str, Look]) -> Figure:
    """One matrix per system: rows trained on, columns evaluated on; mean accuracy over its trained
    seeds.
    """
    rows = accuracy_rows(table)
    rows = rows[(rows["seed"] != UNTRAINED) & (rows["variant"] == "")]
    systems = [name for name in looks if name in set(rows["system"])]
    widest = max(wilson_interval(0.5, n)[1] - 0.5 for n in clips.values())
    note = (
        f"Mean over seeds. n test clips: {sizes(clips)}; 95 % Wilson interval of one seed at most"
        f" ±{100 * widest:.1f} points."
    )
    title = "Transfer: accuracy on one version after training on another"
    count = max(1, len(systems))
    columns = count if count <= _COLUMNS else -(-count // 2)
    height = 2.0 + grid_height(count, columns, 1.8)
    width = 2.6 + 1.6 * columns
    figure = new_figure(height, width=width, title=title, note=note)
    panels = panel_grid(figure, count, columns, sharex=True, sharey=True)
    for system, axes in zip(systems, panels, strict=False):
        plot_transfer(rows[rows["system"] == system], axes, datasets=list(clips)).set_title(
            system, loc="left"
        )
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


def cost_figure(
    accuracy: pd.DataFrame, cost: pd.DataFrame, clips: dict[str, int], looks: dict[str, Look]
) -> Figure:
    """Accuracy against multiply-accumulates and parameters, one column per version."""
    rows = accuracy_rows(accuracy)
    rows = rows[
        (rows["seed"] != UNTRAINED)
        & (rows["variant"] == "")
        & (rows["trained_on"] == rows["evaluated_on"])
    ]
    rows = rows.merge(cost.drop_duplicates("system"), on="system")
    note = f"One mark per seed; bars: 95 % Wilson interval over test clips (n: {sizes(clips)})."
    figure = new_figure(5.4, title="Accuracy against cost", note=note)
    panels = figure.subplots(2, len(clips), sharex="row", sharey=True, squeeze=False)
    units = {"macs_per_clip": "multiply-accumulates per clip", "parameters": "trainable parameters"}
    for line, (column, unit) in zip(panels, units.items(), strict=True):
        for axes, dataset in zip(line, clips, strict=True):
            shown = rows[rows["evaluated_on"] == dataset]
            plot_cost(shown, axes, column=column, looks=looks, n=clips[dataset]).set_xlabel(unit)
            axes.set_title(dataset, loc="left")
        line[0].set_ylabel("accuracy / %")
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, ls="", label=name)
        for name, look in looks.items()
        if name in set(rows["system"])
    ]
    figure.legend(handles=handles, loc="outside right upper")
    return figure


def plot_cost(
    rows: pd.DataFrame, axes: Axes, *, column: str, looks: dict[str, Look], n: int
) -> Axes:
    """Accuracy against ``column``, which has a logarithmic axis; one mark per run."""
    for system, value, cost in rows[["system", "value", column]].itertuples(index=False):
        low, high = wilson_interval(value, n)
        look = looks[system]
        error = 100 * np.array([[value - low], [high - value]]).clip(0)
        axes.errorbar(
            cost, 100 * value, yerr=error, fmt=look.marker, color=look.colour, elinewidth=1, ms=5.5
        )
    axes.set(xscale="log", ylim=(-3, 103))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.set_xmargin(0.15)
    axes.grid()
    return axes


def _spread(count: int) -> np.ndarray:
    """Small vertical offsets that keep ``count`` dots of one line apart."""
    return (np.arange(count) - (count - 1) / 2) * min(0.2, 0.6 / max(1, count))
