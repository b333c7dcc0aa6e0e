"""A map of systems: the embeddings of all runs in the plane, and their tree."""

from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from scipy.cluster.hierarchy import leaves_list

from vidrep.measures import find
from vidrep.report.heat_map import name_runs, scale_of
from vidrep.report.naming import with_titles
from vidrep.report.style import GREY, INK, Look, family_patches, looks, new_figure
from vidrep.result_tables import read_table
from vidrep.runs import UNTRAINED
from vidrep.similarity.verdicts import Verdict, read_verdicts, warning
from vidrep.similarity_analysis.files import BRANCHES, PLACES, links

_SHAPES = "osD^vPX*<>p"  # of data sets trained on; more of them share shapes
# semi-axis of a 95 % ellipse of a normal distribution in the plane, in standard deviations
_ELLIPSE = 2.4477
_SURE = 0.95


def draw(
    verdicts: list[Path],
    places: Path,
    branches: Path,
    titles: dict[str, str],
    families: dict[str, str],
    measure: str,
    dataset: str,
) -> Figure:
    """The figure of one evaluation set; see its declaration."""
    runs = with_titles(read_table(places, PLACES), titles)
    tree = read_table(branches, BRANCHES)
    judged = read_verdicts(*verdicts)
    return map_figure(runs, tree, titles[dataset], measure, families, judged)


def map_figure(
    places: pd.DataFrame,
    branches: pd.DataFrame,
    dataset: str,
    measure: str,
    families: dict[str, str],
    verdicts: dict[str, Verdict],
) -> Figure:
    """The map and the tree of the embeddings of all runs on one evaluation set.

    Args:
        places, branches: see ``vidrep.similarity_analysis.files.write_map``.
        dataset: the evaluation set.
        measure: whose distances are shown.
        families: family of each system.
        verdicts: on measures, of ``read_verdicts``.
    """
    shown_as = looks(families)
    scale = scale_of(measure)
    unit = scale.label if find(measure).direction == "distance" else f"angle of {scale.label} / rad"
    note = (
        f"n = {places['n'].max():,.0f} clips; distance: {unit}. Map: stress-1 ="
        f" {places['stress'].max():.2f} (0: all distances kept); ellipses: 95 % of the places over"
        " half-samples of clips; lines join seeds; numbers as in the tree. Tree: average linkage;"
        " numbers: share of half-samples with the same branch, in %; bold branches recur in at"
        " least 95 %."
    )
    height = max(5.0, 1.9 + 0.19 * len(places))
    title = f"Which systems are near each other on {dataset}? {scale.label}, embeddings"
    figure = new_figure(height, width=12.5, title=title, note=note + warning(verdicts, measure))
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    order = plot_branches(branches, right, label=unit)
    number = {run: i + 1 for i, run in enumerate(order)}
    trained_on = dict.fromkeys(places.loc[places["seed"] != UNTRAINED, "trained_on"])
    shapes = dict(zip(trained_on, cycle(_SHAPES), strict=False))
    plot_places(places, left, shapes=shapes, shown_as=shown_as, number=number)
    name_leaves(places.iloc[order], right, shown_as)
    figure.legend(
        handles=_shape_handles(shapes),
        title="trained on",
        loc="outside right upper",
        alignment="left",
    )
    patches = family_patches(families, set(places["system"]))
    figure.legend(handles=patches, title="family", loc="outside right lower", alignment="left")
    return figure


def _shape_handles(shapes: dict[str, str]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=INK, marker=shape, ls="", label=name) for name, shape in shapes.items()
    ]
    handles.append(Line2D([], [], color=GREY, marker="h", mfc="white", ls="", label="not trained"))
    return handles


def plot_places(
    places: pd.DataFrame,
    axes: Axes,
    *,
    shapes: dict[str, str],
    shown_as: dict[str, Look],
    number: dict[int, int],
) -> None:
    """Runs in the plane: colour by system, shape by data set trained on; lines join seeds."""
    trained = places[places["seed"] != UNTRAINED]
    for (system, _), rows in trained.groupby(["system", "trained_on"], sort=False):
        axes.plot(rows["x"], rows["y"], color=shown_as[system].colour, lw=0.9, zorder=1)
    for i, run in enumerate(places.itertuples(index=False)):
        if run.seed == UNTRAINED:
            marker = "h"
            face = "white"
            edge = spread = GREY
        else:
            marker = shapes[run.trained_on]
            face = spread = shown_as[run.system].colour
            edge = "white"
        covariance = np.array([[run.var_x, run.cov_xy], [run.cov_xy, run.var_y]])
        if np.isfinite(covariance).all():
            axes.add_patch(_ellipse((run.x, run.y), covariance, spread))
        axes.plot(run.x, run.y, marker=marker, ms=7, mfc=face, mec=edge, mew=1.0, zorder=3)
        axes.annotate(
            f"{number[i]}",
            (run.x, run.y),
            xytext=(5, 3),
            textcoords="offset points",
            fontsize=6.5,
            color=INK,
            zorder=4,
        )
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    axes.margins(0.06)


def _ellipse(centre: tuple[float, float], covariance: np.ndarray, colour) -> Ellipse:
    """The 95 % ellipse of a normal distribution."""
    squares, axes = np.linalg.eigh(covariance)
    width, height = 2 * _ELLIPSE * np.sqrt(np.maximum(squares[::-1], 0))
    angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
    return Ellipse(
        centre,
        width,
        height,
        angle=angle,
        fc=(*to_rgb(colour), 0.10),
        ec=(*to_rgb(colour), 0.35),
        lw=0.6,
        zorder=0,
    )


def plot_branches(branches: pd.DataFrame, axes: Axes, *, label: str) -> list[int]:
    """The tree with the support of each branch; returns its leaves from top to bottom."""
    axes.spines["left"].set_visible(False)
    axes.set(xlabel=label, yticks=[])
    count = len(branches) + 1
    order = leaves_list(links(branches)).tolist() if len(branches) else [0]
    rows = np.full(2 * count - 1, np.nan)
    heights = np.zeros(2 * count - 1)
    rows[order] = range(count)
    for i, branch in enumerate(branches.itertuples(index=False)):
        pair = [branch.left, branch.right]
        node = count + i
        rows[node] = rows[pair].mean()
        heights[node] = branch.height
        low, high = rows[pair]
        along = [heights[branch.left], branch.height, branch.height, heights[branch.right]]
        # all runs together recur in every tree
        told = np.isfinite(branch.support) and i < count - 2
        sure = told and branch.support >= _SURE
        axes.plot(
            along,
            [low, low, high, high],
            solid_joinstyle="miter",
            color=INK if sure else GREY,
            lw=1.6 if sure else 0.8,
        )
        if told:
            axes.annotate(
                f"{100 * branch.support:.0f}",
                (branch.height, rows[node]),
                xytext=(2, 0),
                textcoords="offset points",
                va="center",
                fontsize=5.5,
            )
    axes.set(xlim=(1.08 * max(heights.max(), 1e-9), 0), ylim=(count - 0.5, -0.5))
    return order


def name_leaves(reps: pd.DataFrame, axes: Axes, shown_as: dict[str, Look]) -> None:
    """Name the leaves of a tree by run, in the colour of the system."""
    name_runs(axes, reps["system"], reps["trained_on"], reps["seed"], shown_as)
    axes.tick_params(axis="y", length=0)
