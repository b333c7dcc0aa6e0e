"""Which layers of two systems correspond: a small panel for every two systems."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.report.heat_map import scale_of
from vidrep.report.layer_tables import read_layers
from vidrep.report.naming import with_titles
from vidrep.report.style import GREY, PALE, Look, cell_text, colour_bar, looks, new_figure
from vidrep.similarity.verdicts import Verdict, read_verdicts, warning
from vidrep.similarity_analysis.layers import MATCH_COLUMNS

_CELL = 0.86  # of a small panel, share of its pitch
_DEPTH_MAP = "viridis"
_DEPTH_LABEL = "depth of the best match in the other system"


def draw(
    matches: Path,
    verdicts: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
    dataset: str,
) -> Figure:
    """The figure of one evaluation set; see its declaration."""
    rows, measure = read_layers(matches, MATCH_COLUMNS, dataset)
    judged = read_verdicts(*verdicts)
    return matches_figure(with_titles(rows, titles), titles[dataset], measure, families, judged)


def matches_figure(
    matches: pd.DataFrame,
    dataset: str,
    measure: str,
    families: dict[str, str],
    verdicts: dict[str, Verdict],
) -> Figure:
    """For each layer of one system (row) its best match in another (column).

    Args:
        matches: layer_matches.csv, of one evaluation set.
        dataset: the evaluation set.
        measure: its measure.
        families: family of each system.
        verdicts: on measures, of ``read_verdicts``.
    """
    systems = [name for name in families if name in set(matches["system_a"])]
    shown_as = looks(families)
    scale = scale_of(measure)
    note = (
        "Each panel: depth in the system of the row, from its first layer (left) to its embedding"
        f" (right), against {scale.label}, {scale.limits[0]:g} (bottom) to {scale.limits[1]:.3g}"
        " (top). Solid, with dots: the best matching layer of the column, coloured by its depth"
        " there; band: 95 % interval, which does not know that the best was chosen. Dashed: the"
        " layer at equal relative depth. First seeds; on the diagonal a second seed, where there"
        " is one."
    )
    side = max(5.0, 1.32 * len(systems))
    title = f"Which layers correspond on {dataset}? {scale.label}"
    note += warning(verdicts, measure)
    figure = new_figure(0.82 * side + 1.6, width=side + 2.9, title=title, note=note)
    axes = figure.subplots()
    place = {system: i for i, system in enumerate(systems)}
    for (a, b), rows in matches.groupby(["system_a", "system_b"], sort=False):
        corner = (place[b], place[a])
        colour = shown_as[a].colour
        plot_match(rows, axes, corner=corner, limits=scale.limits, colour=colour)
    same = matches[matches["system_a"] == matches["system_b"]]
    two_seeds = set(same["system_a"])
    for i, system in enumerate(systems):
        if system not in two_seeds:
            middle = i + _CELL / 2
            cell_text(axes, middle, middle, "one seed", fontsize=6.5, color=GREY)
    _name_cells(axes, systems, shown_as)
    colour_bar(figure, [axes], _DEPTH_LABEL, (0, 1), _DEPTH_MAP, shrink=0.5, aspect=30)
    return figure


def plot_match(
    rows: pd.DataFrame,
    axes: Axes,
    *,
    corner: tuple[float, float],
    limits: tuple[float, float],
    colour,
) -> None:
    """One pair of systems in the cell whose upper left corner is ``corner``; y runs down."""
    low, high = limits

    def across(depth: pd.Series) -> np.ndarray:
        """x of depths from 0 to 1."""
        return corner[0] + _CELL * (0.06 + 0.88 * np.asarray(depth, float))

    def down(value: pd.Series) -> np.ndarray:
        """y of values of the measure."""
        clipped = np.clip(np.asarray(value, float), low, high)
        return corner[1] + _CELL * (0.94 - 0.88 * (clipped - low) / (high - low))

    box = np.array([[0, 0], [_CELL, 0], [_CELL, _CELL], [0, _CELL], [0, 0]]) + corner
    axes.plot(box[:, 0], box[:, 1], color=PALE, lw=0.6, zorder=0)

    best = rows[rows["choice"] == "best"]
    x = across(best["depth_a"])
    y = down(best["value"])
    bottom = down(best["ci_low"])
    top = down(best["ci_high"])
    axes.fill_between(x, bottom, top, color=colour, alpha=0.25, lw=0, zorder=1)

    equal = rows[rows["choice"] == "equal_depth"]
    equal_x = across(equal["depth_a"])
    equal_y = down(equal["value"])
    axes.plot(equal_x, equal_y, color=GREY, lw=0.9, ls=(0, (3, 1.2)), zorder=2)

    axes.plot(x, y, color=colour, lw=1.2, zorder=3)
    axes.scatter(
        x,
        y,
        c=best["depth_b"],
        cmap=_DEPTH_MAP,
        vmin=0,
        vmax=1,
        s=13,
        lw=0,
        zorder=4,
    )


def _name_cells(axes: Axes, systems: list[str], shown_as: dict[str, Look]) -> None:
    """Names of the systems on the left and, slanted, on top."""
    middles = np.arange(len(systems)) + _CELL / 2
    axes.set_yticks(middles, systems)
    axes.set_xticks(middles, systems, rotation=20, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    end = len(systems) - 1 + _CELL
    axes.set(xlim=(-0.02, end + 0.02), ylim=(end + 0.02, -0.02))
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        for system, label in zip(systems, labels, strict=True):
            label.set_color(shown_as[system].colour)
