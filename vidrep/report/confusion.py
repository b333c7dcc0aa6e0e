"""Confusion matrices of the probes: one 2 x 2 matrix per class and run."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.report.naming import with_titles
from vidrep.report.style import Look, cell_text, colour_bar, contrast, looks, new_figure
from vidrep.result_tables import first_seeds, only_layer_last, read_table

_PERCENT = (0.0, 100.0)
_CMAP = "cividis"
_COLUMNS = (
    *("system", "trained_on", "evaluated_on", "seed", "layer", "factor"),
    *("truth", "predicted", "count"),
)


def draw(confusion: Path, titles: dict[str, str], families: dict[str, str], dataset: str) -> Figure:
    """The figure of one evaluation set; see its declaration."""
    table = with_titles(read_table(confusion, _COLUMNS), titles)
    return confusion_figure(table, titles[dataset], looks(families))


def confusion_figure(table: pd.DataFrame, dataset: str, looks: dict[str, Look]) -> Figure:
    """A row of 2 x 2 matrices for each system, a column for each class; of the embedding.

    Shown are the first seeds, trained on the evaluation set.

    Args:
        table: confusion.csv, layers in depth order.
        dataset: the evaluation set.
        looks: look of each system, in the order of the rows.
    """
    rows = table[(table["evaluated_on"] == dataset) & (table["trained_on"] == dataset)]
    rows = only_layer_last(first_seeds(rows), ["system", "seed"])
    systems = [name for name in looks if name in set(rows["system"])]
    classes = list(dict.fromkeys(rows["factor"]))
    n = 0
    if systems:
        one_probe = (rows["system"] == systems[0]) & (rows["factor"] == classes[0])
        n = int(rows[one_probe]["count"].sum())
    note = (
        f"Linear probes on the embedding, first seed, {n:,} test clips. Each block: rows truth,"
        " columns answer, no before yes; counts as text, colour is the share of the row. Above a"
        " block: balanced accuracy (chance 50 %)."
    )
    title = f"Is the class in the clip? Confusion of the probes on {dataset}"
    height = 1.5 + 0.95 * len(systems)
    figure = new_figure(height, width=2.4 + 0.86 * len(classes), title=title, note=note)
    axes = figure.subplots()
    for place, system in enumerate(systems):
        plot_confusions(rows[rows["system"] == system], axes, classes=classes, line=place)
    axes.set(xlim=(-0.2, 2.7 * len(classes) - 0.3), ylim=(3 * len(systems) - 0.3, -0.7))
    names = [name.replace("_", " ") for name in classes]
    axes.set_xticks(2.7 * np.arange(len(classes)) + 1, names)
    axes.set_yticks(3 * np.arange(len(systems)) + 1, systems)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    colour_bar(
        figure,
        [axes],
        "share of the true answer's clips / %",
        _PERCENT,
        _CMAP,
        shrink=0.7,
        aspect=30,
    )
    return figure


def plot_confusions(rows: pd.DataFrame, axes: Axes, *, classes: list[str], line: int) -> Axes:
    """The matrices of one run, side by side in line number ``line``; each fills a 2 x 2 square."""
    cmap = matplotlib.colormaps[_CMAP]
    matrices = np.zeros((len(classes), 2, 2))
    places = rows["factor"].map(classes.index)
    np.add.at(matrices, (places, rows["truth"], rows["predicted"]), rows["count"])
    for place, counts in enumerate(matrices):
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        left = 2.7 * place
        top = 3.0 * line
        axes.pcolorfast((left, left + 2), (top, top + 2), shares, cmap=cmap, vmin=0, vmax=1)
        for truth, predicted in np.ndindex(2, 2):
            colour = contrast(cmap(shares[truth, predicted]))
            text = f"{counts[truth, predicted]:.0f}"
            x = left + predicted + 0.5
            y = top + truth + 0.5
            cell_text(axes, x, y, text, fontsize=6.5, color=colour)
        score = f"{100 * shares.diagonal().mean():.0f} %" if counts.sum(1).all() else "–"
        cell_text(axes, left + 1, top - 0.25, score, fontsize=6.5)
    return axes
