"""All layers of the systems trained on an evaluation set against each other."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vidrep.report.heat_map import plot_heat_map, read_similarities, scale_of
from vidrep.report.style import colour_bar, looks, new_figure
from vidrep.result_tables import first_seeds, representations, square
from vidrep.runs import EXTERNAL
from vidrep.similarity.verdicts import Verdict, read_verdicts, warning


def draw(
    verdicts: list[Path], table: Path, families: dict[str, str], dataset: str, measure: str
) -> Figure:
    """The figure of one evaluation set and measure; see its declaration."""
    judged = read_verdicts(*verdicts)
    return layer_figure(read_similarities(table), dataset, measure, families, judged)


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
