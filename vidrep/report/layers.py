"""All layers of the systems trained on an evaluation set against each other."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.report.heat_map import plot_heat_map, read_similarities, scale_of
from vidrep.report.naming import NO_TITLES
from vidrep.report.style import Look, colour_bar, looks, new_figure
from vidrep.result_tables import first_seeds, representations, square
from vidrep.runs import EXTERNAL
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
    return layer_figure(pairs, dataset, measure, families, judged, titles)


def layer_figure(
    table: pd.DataFrame,
    dataset: str,
    measure: str,
    families: dict[str, str],
    verdicts: dict[str, Verdict],
    titles: Mapping[str, str] = NO_TITLES,
) -> Figure:
    """Similarity of all layers of the systems trained on the evaluation set, and external ones.

    Args:
        table: similarity/<dataset>/<measure>.csv.
        dataset: the evaluation set.
        measure: name of the measure.
        families: family of each system, in the order of the figure.
        verdicts: on measures, of ``read_verdicts``.
        titles: what people call each data set.
    """
    scale = scale_of(measure)
    reps = shown_layers(representations(table), dataset, list(families))
    values = square(table, reps["rep"])
    note = (
        f"n = {table['n'].max():,.0f} clips. First seed of each system; its layers from the input"
        " (top, left) to the embedding; white lines part systems. Colours span 0 to"
        f" {scale.limits[1]:.3g}; dark means different.{warning(verdicts, measure)}"
    )
    side = max(3.5, 0.155 * len(reps))
    title = f"Layer against layer on {titles.get(dataset, dataset)}: {scale.label}"
    figure = new_figure(side + 1.8, width=min(side + 3.4, 13.0), title=title, note=note)
    axes = figure.subplots()
    plot_heat_map(values, axes, scale=scale)
    label_layers(axes, reps, looks(families))
    colour_bar(figure, [axes], scale.label, scale.limits, scale.cmap, shrink=0.6, aspect=30)
    return figure


def shown_layers(reps: pd.DataFrame, dataset: str, systems: list[str]) -> pd.DataFrame:
    """The layers of the first runs trained on ``dataset`` and of external networks.

    They are ordered as ``systems``, those of a system in depth order.
    """
    shown = reps["dataset"].isin([dataset, EXTERNAL]) & reps["system"].isin(systems)
    reps = first_seeds(reps[shown])
    place = {system: i for i, system in enumerate(systems)}
    order = np.argsort(reps["system"].map(place), kind="stable")
    return reps.iloc[order]


def label_layers(axes: Axes, reps: pd.DataFrame, shown_as: dict[str, Look]) -> None:
    """Name layers on the left and systems below, and part the systems by white lines."""
    systems = reps["system"].tolist()
    axes.set_yticks(range(len(reps)), reps["layer"], fontsize=6)
    edges = [i for i in range(1, len(systems)) if systems[i] != systems[i - 1]]
    for edge in edges:
        axes.axhline(edge - 0.5, color="white", lw=1.6)
        axes.axvline(edge - 0.5, color="white", lw=1.6)
    starts = [0, *edges, len(systems)]
    middles = [(low + high - 1) / 2 for low, high in pairwise(starts)]
    names = [systems[start] for start in starts[:-1]]
    axes.set_xticks(middles, names, rotation=20, ha="right", rotation_mode="anchor")
    for label, system in zip(axes.get_xticklabels(), names, strict=True):
        label.set_color(shown_as[system].colour)
    for label, system in zip(axes.get_yticklabels(), systems, strict=True):
        label.set_color(shown_as[system].colour)
