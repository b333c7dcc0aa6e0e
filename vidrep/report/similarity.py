"""Heat maps of similarity: embeddings of all runs with a dendrogram, and all layers against all
layers.
"""

from dataclasses import dataclass
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from vidrep.measures import find
from vidrep.report.style import (
    GREY,
    PALE,
    Look,
    colour_bar,
    family_colours,
    looks,
    new_figure,
    write_cells,
)
from vidrep.result_tables import first_seeds, only_layer_last, representations, square
from vidrep.runs import EXTERNAL, UNTRAINED
from vidrep.similarity.verdicts import Verdict, warning

TEXT_CELLS = 20  # larger matrices get no numbers in their cells


@dataclass(frozen=True)
class Scale:
    """How a measure is shown in every figure: from 0 to its largest value; dark means different,
    whatever its direction.
    """

    limits: tuple[float, float]
    distance: bool
    label: str

    @property
    def cmap(self) -> str:
        return "cividis_r" if self.distance else "cividis"

    def distances(self, values: np.ndarray) -> np.ndarray:
        """Values as distances from 0 upwards, for the dendrogram; missing ones count as the largest
        of the range.
        """
        high = self.limits[1]
        away = np.nan_to_num(values if self.distance else high - values, nan=high).clip(0)
        away = (away + away.T) / 2
        np.fill_diagonal(away, 0)
        return away


def scale_of(measure: str) -> Scale:
    """The scale of a measure.

    Raises:
        ValueError: no such measure.
    """
    found = find(measure)
    return Scale((0.0, found.range[1]), found.direction == "distance", found.title)


def embedding_figure(
    table: pd.DataFrame,
    dataset: str,
    measure: str,
    families: dict[str, str],
    verdicts: dict[str, Verdict],
) -> Figure:
    """Similarity of the embeddings of all runs on one evaluation set, ordered by a dendrogram.

    Args:
        table: similarity/<dataset>/<measure>.csv.
        dataset: the evaluation set.
        measure: name of the measure.
        families: family of each system.
        verdicts: on measures, of ``read_verdicts``.
    """
    scale = scale_of(measure)
    reps = only_layer_last(representations(table), ["run"])
    values = square(table, reps["rep"])
    note = (
        f"n = {table['n'].max():,.0f} clips. A row: system ← trained on, seed; columns in the same"
        " order. Tree: average"
        f" linkage{'' if scale.distance else f' of {scale.limits[1]:g} − similarity'}. Pale grey:"
        f" no value. Colours span 0 to {scale.limits[1]:.3g} in every figure of the measure; dark"
        f" means different.{warning(verdicts, measure)}"
    )
    side = max(3.0, 0.24 * len(reps))
    title = f"Which runs represent {dataset} alike? {scale.label}, embeddings"
    figure = new_figure(side + 2.2, width=min(side + 5.6, 13.0), title=title, note=note)
    tree_axes, map_axes = figure.subplots(1, 2, width_ratios=[1, 6])
    order = plot_tree(scale.distances(values), tree_axes)
    values = values[np.ix_(order, order)]
    reps = reps.iloc[order]
    plot_heat_map(values, map_axes, scale=scale)
    label_runs(map_axes, reps, looks(families))
    if len(reps) <= TEXT_CELLS:
        texts = np.char.lstrip(np.char.mod("%.2f", values), "0")
        write_cells(map_axes, values, texts, scale.limits, scale.cmap, size=5.5)
    colour_bar(figure, [map_axes], scale.label, scale.limits, scale.cmap, shrink=0.6, aspect=30)
    used = dict.fromkeys(
        family for system, family in families.items() if system in set(reps["system"])
    )
    handles = [
        Patch(color=colour, label=family)
        for family, colour in family_colours(families).items()
        if family in used
    ]
    figure.legend(handles=handles, title="family", loc="outside right lower")
    return figure


def plot_tree(distances: np.ndarray, axes: Axes) -> list[int]:
    """The dendrogram of a distance matrix, its leaves from top to bottom; returns their order."""
    axes.set_axis_off()
    if len(distances) < 2:
        return list(range(len(distances)))
    links = linkage(squareform(distances, checks=False), "average", optimal_ordering=True)
    tree = dendrogram(links, no_plot=True)
    for across, along in zip(tree["icoord"], tree["dcoord"], strict=True):
        axes.plot(along, (np.array(across) - 5) / 10, color=GREY, lw=0.9, solid_joinstyle="miter")
    axes.set(xlim=(1.02 * max(map(max, tree["dcoord"])), 0), ylim=(len(distances) - 0.5, -0.5))
    return tree["leaves"]


def plot_heat_map(values: np.ndarray, axes: Axes, *, scale: Scale) -> Axes:
    """A square matrix in the measure's fixed colours; pale grey where there is no value."""
    cmap = matplotlib.colormaps[scale.cmap].with_extremes(bad=PALE)
    axes.imshow(values, cmap=cmap, vmin=scale.limits[0], vmax=scale.limits[1], aspect="auto")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return axes


def label_runs(axes: Axes, reps: pd.DataFrame, shown_as: dict[str, Look]) -> None:
    """Name the rows of a heat map by run, in the colour of the family; columns are numbered as the
    rows.
    """
    seeds = reps["seed"].where(reps["seed"] == UNTRAINED, "#" + reps["seed"])
    names = [
        f"{i + 1}  {s} ← {d} {k}"
        for i, (s, d, k) in enumerate(zip(reps["system"], reps["dataset"], seeds, strict=True))
    ]
    axes.set_yticks(range(len(names)), names)
    axes.yaxis.tick_right()
    axes.set_xticks(range(len(names)), range(1, len(names) + 1))
    for system, seed, label in zip(
        reps["system"], reps["seed"], axes.get_yticklabels(), strict=True
    ):
        label.set(
            color=shown_as[system].colour, fontstyle="italic" if seed == UNTRAINED else "normal"
        )


def layer_figure(
    table: pd.DataFrame,
    dataset: str,
    measure: str,
    families: dict[str, str],
    verdicts: dict[str, Verdict],
) -> Figure:
    """Similarity of all layers, in depth order, of all systems trained on the evaluation set (first
    seeds) and external ones.
    """
    scale = scale_of(measure)
    shown_as = looks(families)
    reps = representations(table)
    reps = first_seeds(
        reps[reps["dataset"].isin([dataset, EXTERNAL]) & reps["system"].isin(families)]
    )
    place = {system: i for i, system in enumerate(families)}
    reps = reps.iloc[np.argsort(reps["system"].map(place), kind="stable")]
    values = square(table, reps["rep"])
    note = (
        f"n = {table['n'].max():,.0f} clips. First seed of each system; its layers from the input"
        " (top, left) to the embedding; white lines part systems. Colours span 0 to"
        f" {scale.limits[1]:.3g}; dark means different.{warning(verdicts, measure)}"
    )
    side = max(3.5, 0.155 * len(reps))
    title = f"Layer against layer on {dataset}: {scale.label}"
    figure = new_figure(side + 1.8, width=min(side + 3.4, 13.0), title=title, note=note)
    axes = figure.subplots()
    plot_heat_map(values, axes, scale=scale)
    axes.set_yticks(range(len(reps)), reps["layer"], fontsize=6)
    edges = [i for i in range(1, len(reps)) if reps["system"].iloc[i] != reps["system"].iloc[i - 1]]
    for edge in edges:
        axes.axhline(edge - 0.5, color="white", lw=1.6)
        axes.axvline(edge - 0.5, color="white", lw=1.6)
    starts = [0, *edges, len(reps)]
    middles = [(low + high - 1) / 2 for low, high in pairwise(starts)]
    names = [reps["system"].iloc[start] for start in starts[:-1]]
    axes.set_xticks(middles, names, rotation=20, ha="right", rotation_mode="anchor")
    for label, system in zip(axes.get_xticklabels(), names, strict=True):
        label.set_color(shown_as[system].colour)
    for label, system in zip(axes.get_yticklabels(), reps["system"], strict=True):
        label.set_color(shown_as[system].colour)
    colour_bar(figure, [axes], scale.label, scale.limits, scale.cmap, shrink=0.6, aspect=30)
    return figure
