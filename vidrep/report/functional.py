"""How alike runs answer, and what one run's head makes of another's features."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.report.heat_map import TEXT_CELLS, Scale, label_runs, plot_heat_map
from vidrep.report.naming import NO_TITLES
from vidrep.report.style import GREY, colour_bar, looks, new_figure, write_cells
from vidrep.result_tables import read_table, square
from vidrep.runs import UNTRAINED

KAPPA = Scale((0.0, 1.0), False, "kappa")
STITCHED = Scale((0.0, 1.0), False, "accuracy")


def draw(table: Path, titles: dict[str, str], families: dict[str, str], dataset: str) -> Figure:
    """The figure of one evaluation set; see its declaration."""
    compared = read_table(table, ("run_a", "run_b", "metric", "value", "n"))
    return functional_figure(compared, dataset, families, titles)


def functional_figure(
    table: pd.DataFrame,
    dataset: str,
    families: dict[str, str],
    titles: Mapping[str, str] = NO_TITLES,
) -> Figure:
    """Kappa of the answers of trained runs, and accuracy of heads on each other's features.

    Args:
        table: functional_similarity/<dataset>.csv.
        dataset: the evaluation set.
        families: family of each system, in the order of the rows.
        titles: what people call each data set.
    """
    runs = trained_runs(table, list(families))
    clips = f"n = {table['n'].max():,.0f} clips. " if len(runs) else ""
    note = (
        f"{clips}A row: system ← trained on, seed; columns in the same order. Left: agreement of"
        " answers beyond chance (Cohen's kappa; below 0 shown as 0). Right: share of exact label"
        " sets that the column's head gets right on the row's features, mapped onto its own by"
        " ridge regression; on the diagonal what the ridge alone leaves of a run. Untrained"
        " baselines are in the table."
    )
    title = f"Do runs answer alike on {titles.get(dataset, dataset)}, and can one read the other?"
    side = max(2.6, 0.24 * len(runs))
    figure = new_figure(side + 1.9, width=min(2 * side + 5.0, 14.0), title=title, note=note)
    panels = figure.subplots(1, 2)
    if len(runs) < 2:
        for axes in panels:
            axes.set_axis_off()
        panels[0].text(0, 0.5, "Fewer than two trained runs answer with classes here.", color=GREY)
        return figure
    matrices = (kappas(table, runs["run"]), stitched(table, list(runs["run"])))
    scales = (KAPPA, STITCHED)
    names = ("Same answers", "Column's head on row's features")
    for axes, values, scale, name in zip(panels, matrices, scales, names, strict=True):
        plot_matrix(values, axes, scale=scale, title=name)
        colour_bar(
            figure,
            [axes],
            scale.label,
            scale.limits,
            scale.cmap,
            location="bottom",
            shrink=0.6,
            aspect=30,
        )
    panels[0].set_yticks(range(len(runs)), range(1, len(runs) + 1))
    label_runs(panels[1], runs, looks(families), titles)
    return figure


def trained_runs(table: pd.DataFrame, systems: list[str]) -> pd.DataFrame:
    """The trained runs that answer: run, dataset, system, seed.

    They are ordered as ``systems``, then by data set and seed.
    """
    names = pd.unique(table.loc[table["metric"] == "stitched_accuracy", "run_a"])
    pieces = [[name, *name.split("/")] for name in names]
    runs = pd.DataFrame(pieces, columns=["run", "dataset", "system", "seed"])
    runs["seed"] = runs["seed"].str.removeprefix("seed")
    place = {system: i for i, system in enumerate(systems)}
    runs = runs[(runs["seed"] != UNTRAINED) & runs["system"].isin(place)]
    return runs.sort_values(
        ["system", "dataset"], key=lambda column: column.map(place).fillna(0), kind="stable"
    )


def kappas(table: pd.DataFrame, runs: pd.Series) -> np.ndarray:
    """(R, R) agreement of the answers of runs beyond chance."""
    rows = table[table["metric"] == "kappa"]
    rows = rows.rename(columns={"run_a": "rep_a", "run_b": "rep_b"})
    matrix = square(rows, runs)
    np.fill_diagonal(matrix, 1)
    return matrix


def stitched(table: pd.DataFrame, runs: list[str]) -> np.ndarray:
    """(R, R) accuracy of the column's head on the row's features; NaN where not measured."""
    rows = table[table["metric"] == "stitched_accuracy"]
    matrix = rows.pivot(index="run_a", columns="run_b", values="value")
    return matrix.reindex(index=runs, columns=runs).to_numpy(float)


def plot_matrix(values: np.ndarray, axes: Axes, *, scale: Scale, title: str) -> Axes:
    """A heat map of runs against runs with numbers in its cells where they are few."""
    plot_heat_map(values, axes, scale=scale).set_title(title, loc="left")
    axes.set_xticks(range(len(values)), range(1, len(values) + 1))
    if len(values) <= TEXT_CELLS:
        texts = np.char.replace(np.char.mod("%.2f", values), "0.", ".")
        write_cells(axes, values, texts, scale.limits, scale.cmap, size=5.5)
    return axes
