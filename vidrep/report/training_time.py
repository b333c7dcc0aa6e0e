"""When layers take their final form: similarity to the end of training, epoch by epoch."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.report.heat_map import scale_of
from vidrep.report.layer_tables import read_layers
from vidrep.report.naming import with_titles
from vidrep.report.style import colour_bar, grid_height, new_figure, panel_grid
from vidrep.similarity.verdicts import Verdict, read_verdicts, warning
from vidrep.similarity_analysis.training_time import TRAINING_TIME_COLUMNS

_COLUMNS = 3
_CMAP = "viridis_r"


def draw(
    training_time: Path,
    verdicts: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
    dataset: str,
) -> Figure:
    """The figure of one data set; see its declaration."""
    rows, measure = read_layers(training_time, TRAINING_TIME_COLUMNS, dataset)
    judged = read_verdicts(*verdicts)
    return training_time_figure(
        with_titles(rows, titles), titles[dataset], measure, families, judged
    )


def training_time_figure(
    table: pd.DataFrame,
    dataset: str,
    measure: str,
    systems: Iterable[str],
    verdicts: dict[str, Verdict],
) -> Figure:
    """How alike layers are to what they end as: a panel per system, a line per layer, first seeds.

    Args:
        table: training_time.csv, of one data set.
        dataset: the data set.
        measure: its measure.
        systems: in the order of the panels.
        verdicts: on measures, of ``read_verdicts``.
    """
    scale = scale_of(measure)
    final = table[table["final"]]
    shown = [name for name in systems if name in set(final["system"])]
    note = (
        f"n = {final['n'].max():,.0f} test clips, 95 % intervals over clips; first seed of each"
        " system. Each layer against itself with the weights that the run ended with, those of the"
        " best epoch on validation clips. 0 epochs: initial weights."
    )
    columns = min(_COLUMNS, len(shown))
    height = 1.4 + grid_height(len(shown), columns, 2.1)
    title = f"When do layers take their final form? Systems trained on {dataset}, {scale.label}"
    note += warning(verdicts, measure)
    figure = new_figure(height, width=2.0 + 3.1 * columns, title=title, note=note)
    panels = panel_grid(figure, len(shown), columns, sharey=True)
    for place, (system, axes) in enumerate(zip(shown, panels, strict=True)):
        rows = final[final["system"] == system]
        plot_training_time(rows[rows["seed"] == rows["seed"].min()], axes)
        axes.set_title(system, loc="left")
        axes.set_ylim(scale.limits[0] - 0.03, scale.limits[1] * 1.03)
        axes.set_xlabel("epochs")
        if place % columns == 0:
            axes.set_ylabel(f"{scale.label}, with the end")
    colour_bar(
        figure,
        panels,
        "depth of the layer: input to embedding",
        (0, 1),
        _CMAP,
        shrink=0.6,
        aspect=30,
    )
    return figure


def plot_training_time(rows: pd.DataFrame, axes: Axes) -> Axes:
    """One run: similarity to the end against epochs, darker lines for deeper layers."""
    colours = matplotlib.colormaps[_CMAP](np.linspace(0, 1, rows["depth"].max() + 1))
    for depth, line in rows.sort_values("epoch_a").groupby("depth"):
        epochs = line["epoch_a"]
        colour = colours[depth]
        axes.fill_between(epochs, line["ci_low"], line["ci_high"], color=colour, alpha=0.15, lw=0)
        axes.plot(epochs, line["value"], color=colour, marker="o", ms=3)
    axes.set_xticks(sorted(rows["epoch_a"].unique()))
    axes.grid(axis="y")
    return axes
