"""The embeddings of all runs against each other, with a dendrogram."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from vidrep.report.heat_map import (
    TEXT_CELLS,
    label_runs,
    plot_heat_map,
    read_similarities,
    scale_of,
)
from vidrep.report.naming import NO_TITLES
from vidrep.report.style import GREY, colour_bar, family_patches, looks, new_figure, write_cells
from vidrep.result_tables import only_layer_last, representations, square
from vidrep.similarity.verdicts import Verdict, read_verdicts, warning


def draw(
    verdicts: list[Path],
    table: Path,
    titles: dict[str, str],
    families: dict[str, str],
    dataset: str,
    measure: str,
) -> Figure:
    """The figure of one evaluation set and measure; see its declaration."""
    judged = read_verdicts(*verdicts)
    pairs = read_similarities(table)
    return embedding_figure(pairs, dataset, measure, families, judged, titles)


def embedding_figure(
    table: pd.DataFrame,
    dataset: str,
    measure: str,
    families: dict[str, str],
    verdicts: dict[str, Verdict],
    titles: Mapping[str, str] = NO_TITLES,
) -> Figure:
    """Similarity of the embeddings of all runs on one evaluation set, ordered by a dendrogram.

    Args:
        table: similarity/<dataset>/<measure>.csv.
        dataset: the evaluation set.
        measure: name of the measure.
        families: family of each system.
        verdicts: on measures, of ``read_verdicts``.
        titles: what people call each data set.
    """
    scale = scale_of(measure)
    reps = only_layer_last(representations(table), ["run"])
    values = square(table, reps["rep"])
    distances = "" if scale.distance else f" of {scale.limits[1]:g} − similarity"
    note = (
        f"n = {table['n'].max():,.0f} clips. A row: system ← trained on, seed; columns in the same"
        f" order. Tree: average linkage{distances}. Pale grey: no value."
        f" Colours span 0 to {scale.limits[1]:.3g} in every figure of the measure; dark means"
        f" different.{warning(verdicts, measure)}"
    )
    side = max(3.0, 0.24 * len(reps))
    named = titles.get(dataset, dataset)
    title = f"Which runs represent {named} alike? {scale.label}, embeddings"
    figure = new_figure(side + 2.2, width=min(side + 5.6, 13.0), title=title, note=note)
    tree_axes, map_axes = figure.subplots(1, 2, width_ratios=[1, 6])
    order = plot_tree(scale.distances(values), tree_axes)
    values = values[np.ix_(order, order)]
    reps = reps.iloc[order]
    plot_heat_map(values, map_axes, scale=scale)
    label_runs(map_axes, reps, looks(families), titles)
    if len(reps) <= TEXT_CELLS:
        texts = np.char.lstrip(np.char.mod("%.2f", values), "0")
        write_cells(map_axes, values, texts, scale.limits, scale.cmap, size=5.5)
    colour_bar(figure, [map_axes], scale.label, scale.limits, scale.cmap, shrink=0.6, aspect=30)
    handles = family_patches(families, set(reps["system"]))
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
        rows = (np.array(across) - 5) / 10
        axes.plot(along, rows, color=GREY, lw=0.9, solid_joinstyle="miter")
    longest = max(map(max, tree["dcoord"]))
    axes.set(xlim=(1.02 * longest, 0), ylim=(len(distances) - 0.5, -0.5))
    return tree["leaves"]
