"""Bars: how much of the distances between trained systems their properties and data explain."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vidrep.report.heat_map import scale_of
from vidrep.report.naming import with_titles
from vidrep.report.style import GREY, grid_height, new_figure, panel_grid
from vidrep.result_tables import read_table
from vidrep.similarity.verdicts import Verdict, read_verdicts, warning
from vidrep.similarity_analysis.collect import KEYS
from vidrep.similarity_analysis.shares import SHARE_COLUMNS

_NAMES = {
    "trained_on": "data set trained on",
    "family": "architecture family",
    "residual": "none of these",
}
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
_COLUMNS = 3


def draw(shares: Path, verdicts: list[Path], titles: dict[str, str]) -> Figure:
    """The figure of an experiment; see its declaration."""
    table = with_titles(read_table(shares, (*KEYS, *SHARE_COLUMNS)), titles)
    return shares_figure(table, read_verdicts(*verdicts))


def shares_figure(shares: pd.DataFrame, verdicts: dict[str, Verdict]) -> Figure:
    """Variance shares of factors: a panel per evaluation set, a bar per factor and measure.

    Args:
        shares: variance_shares.csv.
        verdicts: on measures, of ``read_verdicts``.
    """
    datasets = list(dict.fromkeys(shares["evaluated_on"]))
    measures = list(dict.fromkeys(shares["measure"]))
    factors = list(dict.fromkeys(shares["factor"]))
    note = (
        f"Trained runs, seeds averaged: {_numbers(shares['n'])} pairs of system and data set."
        " Outline: share of the factor by itself; filled: what it explains and the others do not,"
        " more than by itself where not all systems have all data sets. p of the outlined share,"
        " by permutations of whole systems, or of data sets within systems; no p: the factor has a"
        " level for every system, so that nothing can be exchanged."
    )
    columns = min(_COLUMNS, len(datasets))
    panel_height = 0.5 + len(factors) * (0.25 + 0.16 * len(measures))
    height = 1.3 + grid_height(len(datasets), columns, panel_height)
    title = "What explains which trained systems are alike?"
    note += warning(verdicts, *measures)
    figure = new_figure(height, width=max(8.4, 1.9 + 3.2 * columns), title=title, note=note)
    panels = panel_grid(figure, len(datasets), columns, sharex=True, sharey=True)
    colours = {measure: _COLOURS[i % len(_COLOURS)] for i, measure in enumerate(measures)}
    for dataset, axes in zip(datasets, panels, strict=True):
        rows = shares[shares["evaluated_on"] == dataset]
        plot_shares(rows, axes, factors=factors, colours=colours)
        axes.set_title(dataset, loc="left")
        axes.set_xlabel("share of squared distances / %")
    handles = [
        Patch(color=colour, label=scale_of(measure).label) for measure, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


def _numbers(values: pd.Series) -> str:
    low = int(values.min())
    high = int(values.max())
    return f"{low}" if low == high else f"{low} to {high}"


def plot_shares(
    rows: pd.DataFrame,
    axes: Axes,
    *,
    factors: list[str],
    colours: dict[str, str],
) -> Axes:
    """The shares on one evaluation set, factors from top to bottom."""
    measures = list(colours)
    pitch = 1 / (len(measures) + 1)
    thickness = 0.85 * pitch
    for row in rows.itertuples(index=False):
        lane = measures.index(row.measure) - (len(measures) - 1) / 2
        y = factors.index(row.factor) + pitch * lane
        colour = colours[row.measure]
        opacity = 0.35 if row.factor == "residual" else 1.0
        axes.barh(y, 100 * row.r2, thickness, fc="none", ec=colour, lw=0.9)
        axes.barh(y, 100 * row.r2_only, thickness, color=colour, alpha=opacity)
        if np.isfinite(row.p):
            axes.annotate(
                f"p = {row.p:.3f}",
                (100 * max(row.r2, row.r2_only), y),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize=6,
            )
    axes.set_yticks(range(len(factors)), [_NAMES.get(name, name) for name in factors])
    axes.set(xlim=(0, 100), ylim=(len(factors) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    axes.axhline(len(factors) - 1.5, color=GREY, lw=0.6, ls=":")
    axes.grid(axis="x")
    return axes
