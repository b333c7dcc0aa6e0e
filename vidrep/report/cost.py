"""Accuracy against what a system costs."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from vidrep.report.style import Look, looks, new_figure
from vidrep.report.tables import accuracy_rows, count_clips, error_bars, read_accuracy, sizes
from vidrep.result_tables import read_table
from vidrep.runs import UNTRAINED


def draw(
    accuracy: Path,
    cost: Path,
    clips: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
) -> Figure:
    """The figure of an experiment; see its declaration."""
    costs = read_table(cost, ("system", "parameters", "macs_per_clip"))
    table = read_accuracy(accuracy, titles)
    return cost_figure(table, costs, count_clips(clips, titles), looks(families))


def cost_figure(
    accuracy: pd.DataFrame,
    cost: pd.DataFrame,
    clips: dict[str, int],
    looks: dict[str, Look],
) -> Figure:
    """Accuracy against multiply-accumulates and parameters, one column per version."""
    rows = accuracy_rows(accuracy)
    trained = (rows["seed"] != UNTRAINED) & (rows["variant"] == "")
    rows = rows[trained & (rows["trained_on"] == rows["evaluated_on"])]
    rows = rows.merge(cost.drop_duplicates("system"), on="system")
    note = f"One mark per seed; bars: 95 % Wilson interval over test clips (n: {sizes(clips)})."
    figure = new_figure(5.4, title="Accuracy against cost", note=note)
    panels = figure.subplots(2, len(clips), sharex="row", sharey=True, squeeze=False)
    units = {"macs_per_clip": "multiply-accumulates per clip", "parameters": "trainable parameters"}
    for line, (column, unit) in zip(panels, units.items(), strict=True):
        for axes, dataset in zip(line, clips, strict=True):
            shown = rows[rows["evaluated_on"] == dataset]
            plot_cost(shown, axes, column=column, looks=looks, n=clips[dataset])
            axes.set_xlabel(unit)
            axes.set_title(dataset, loc="left")
        line[0].set_ylabel("accuracy / %")
    shown = set(rows["system"])
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, ls="", label=name)
        for name, look in looks.items()
        if name in shown
    ]
    figure.legend(handles=handles, loc="outside right upper")
    return figure


def plot_cost(
    rows: pd.DataFrame,
    axes: Axes,
    *,
    column: str,
    looks: dict[str, Look],
    n: int,
) -> Axes:
    """Accuracy against ``column``, which has a logarithmic axis; one mark per run."""
    for system, value, cost in rows[["system", "value", column]].itertuples(index=False):
        look = looks[system]
        axes.errorbar(
            cost,
            100 * value,
            yerr=error_bars(value, n),
            fmt=look.marker,
            color=look.colour,
            elinewidth=1,
            ms=5.5,
        )
    axes.set(xscale="log", ylim=(-3, 103))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.set_xmargin(0.15)
    axes.grid()
    return axes
