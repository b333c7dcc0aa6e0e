"""Learning curves: loss and accuracy over epochs."""

import json
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from vidrep.report.style import GREY, INK, Look, broken, looks, new_figure
from vidrep.report.tables import ACCURACIES
from vidrep.result_tables import read_table

_COLUMNS = 6
_SPLIT_DASHES = {"train": (0, (3, 1.2)), "validation": "-"}


def draw(
    histories: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
    dataset: str,
) -> Figure:
    """The figure of one data set; see its declaration."""
    return learning_figure(read_histories(histories), titles[dataset], looks(families))


def read_histories(paths: list[Path]) -> pd.DataFrame:
    """Learning curves of several runs, whose names come from the place of each file.

    Column ``rising`` tells of a run, by its record beside the file, that validation was still
    rising when training ended.
    """
    tables = []
    for path in paths:
        system, folder = path.parts[-3:-1]
        seed = folder.removeprefix("seed")
        table = read_table(path, ("epoch", "split", "metric", "value"))
        record = json.loads(path.with_name("run.json").read_text())
        rising = record["converged"] is False
        tables.append(table.assign(system=system, seed=seed, rising=rising))
    return pd.concat(tables, ignore_index=True)


def learning_figure(histories: pd.DataFrame, dataset: str, looks: dict[str, Look]) -> Figure:
    """Loss and accuracy over epochs on one data set: a column per system, a line per seed.

    Args:
        histories: epoch, split, metric, value, system, seed, rising of all runs on the data set.
        dataset: the data set trained on.
        looks: look of each system, in the order of the columns.
    """
    systems = [name for name in looks if name in set(histories["system"])]
    note = (
        "One line per seed. Training loss: mean over the epoch's steps; validation: at its end. "
        "Losses of different systems differ in kind, so each has its own scale. \u2191: validation "
        "was still rising when training ended."
    )
    columns = min(_COLUMNS, len(systems))
    blocks = -(-len(systems) // columns)
    title = f"Learning curves on {dataset}"
    beside_legend = 2.4 + 0.09 * len(title)
    width = max(1.2 + 1.65 * columns, beside_legend)
    figure = new_figure(0.9 + 3.5 * blocks, width=width, title=title, note=note)
    panels = figure.subplots(2 * blocks, columns, squeeze=False)
    pairs = zip(panels[::2].ravel(), panels[1::2].ravel(), strict=True)
    for place, (top, bottom) in enumerate(pairs):
        if place >= len(systems):
            top.set_axis_off()
            bottom.set_axis_off()
            continue
        system = systems[place]
        runs = histories[histories["system"] == system]
        plot_run_curves(runs, top, bottom, look=looks[system])
        mark = " \u2191" if runs["rising"].any() else ""
        top.set_title(broken(system, 22) + mark, loc="left")
        if place % columns == 0:
            top.set_ylabel("loss")
            bottom.set_ylabel("accuracy / %")
    handles = [
        Line2D([], [], color=INK, ls=dash, label=split) for split, dash in _SPLIT_DASHES.items()
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    return figure


def plot_run_curves(rows: pd.DataFrame, top: Axes, bottom: Axes, *, look: Look) -> None:
    """Loss and accuracy of all seeds of one system."""
    plot_history(rows[rows["metric"] == "loss"], top, look=look)
    accuracy = rows[rows["metric"].isin(ACCURACIES)]
    plot_history(accuracy.assign(value=100 * accuracy["value"]), bottom, look=look)
    bottom.set(ylim=(-3, 103), xlabel="epoch", xlim=top.get_xlim())
    if accuracy.empty:
        bottom.text(
            0.5, 0.5, "no class scores", ha="center", color=GREY, transform=bottom.transAxes
        )


def plot_history(rows: pd.DataFrame, axes: Axes, *, look: Look) -> Axes:
    """One metric of one system over epochs."""
    for (split, _), line in rows.groupby(["split", "seed"], sort=True):
        marker = "." if len(line) == 1 else ""
        dash = _SPLIT_DASHES[split]
        axes.plot(line["epoch"], line["value"], color=look.colour, ls=dash, marker=marker)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid()
    return axes
