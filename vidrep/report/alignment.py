"""Alignment: how well embeddings of frames tell where in a common script a video is."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vidrep.alignment import BASELINES
from vidrep.report.naming import with_titles
from vidrep.report.style import GREY, INK, Look, looks, new_figure
from vidrep.result_tables import read_table
from vidrep.runs import UNTRAINED

# Metric -> heading, factor, limits of the axis.
_PANELS = {
    "kendall_tau": ("order: Kendall's tau", 1, (-0.1, 1.08)),
    "alignment_error": ("misalignment / % of the script", 100, (0, None)),
    "progression_r2": ("progression: R²", 1, (-0.1, 1.08)),
    "phase_accuracy": ("phase accuracy, all labels / %", 100, (0, 105)),
    "digit_linear": ("digit, linear probe / %", 100, (0, 105)),
}
_BASELINE_DASHES = {
    "frame_index": (0, (5, 2)),
    "raw_pixels": (0, (1, 1)),
    "chance": (0, (3, 1, 1, 1)),
}
_COLUMNS = (
    *("system", "trained_on", "evaluated_on", "seed"),
    *("metric", "labelled_videos", "value", "ci_low", "ci_high"),
)


def draw(
    alignment: Path,
    titles: dict[str, str],
    families: dict[str, str],
    videos: int,
    dataset: str,
) -> Figure:
    """The figure of one data set of sequences; see its declaration."""
    table = with_titles(read_table(alignment, _COLUMNS), titles)
    return alignment_figure(table, titles[dataset], looks(families), videos)


def alignment_figure(
    table: pd.DataFrame,
    dataset: str,
    looks: dict[str, Look],
    videos: int,
) -> Figure:
    """All measures on one data set: dots of runs and baselines, lines of few-shot accuracy.

    Args:
        table: alignment.csv.
        dataset: where videos are aligned.
        looks: look of each system, in the order of the rows.
        videos: test videos.
    """
    rows = table[table["evaluated_on"] == dataset]
    rows = rows[(rows["trained_on"] == dataset) | rows["system"].isin(BASELINES)]
    found = set(rows["system"])
    lines = [name for name in [*looks, *BASELINES] if name in found]
    note = (
        f"All ordered pairs of {videos} test videos, all their frames. Tau and misalignment need no"
        " labels. Dots: one seed; bars: 95 % bootstrap interval over test videos. Right: mean and"
        " 95 % interval over random choices of labelled videos."
    )
    title = f"Alignment of videos of one process: {dataset}"
    figure = new_figure(3.1 + 0.2 * len(lines), width=15.0, title=title, note=note)
    # the layout leaves too little room for long names
    figure.get_layout_engine().set(rect=(0.01, 0, 0.99, 1))
    panels = figure.subplots(1, len(_PANELS) + 1, width_ratios=[1] * len(_PANELS) + [1.5])
    for axes, (metric, (heading, factor, limits)) in zip(panels, _PANELS.items(), strict=False):
        plot_measure(rows[rows["metric"] == metric], axes, lines=lines, looks=looks, factor=factor)
        axes.set(xlim=limits, xlabel=heading, yticks=[], ylim=(len(lines) - 0.5, -0.5))
    panels[0].set_yticks(range(len(lines)), [BASELINES.get(name, name) for name in lines])
    plot_few_shot(rows[rows["metric"] == "few_shot_accuracy"], panels[-1], looks=looks)
    handles = [
        Line2D([], [], color=INK, marker="o", ls="", label="trained"),
        Line2D([], [], color=INK, marker="o", ls="", mfc="white", label="untrained baseline"),
    ]
    for name in lines:
        if name in BASELINES:
            dash = _BASELINE_DASHES[name]
            handles.append(Line2D([], [], color=GREY, ls=dash, label=BASELINES[name]))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


def plot_measure(
    rows: pd.DataFrame,
    axes: Axes,
    *,
    lines: list[str],
    looks: dict[str, Look],
    factor: float,
) -> Axes:
    """Dots with intervals of one metric, taken with the most labelled videos."""
    labelled = rows["labelled_videos"].fillna(0)
    rows = rows[labelled == labelled.max()]
    for place, name in enumerate(lines):
        found = rows[rows["system"] == name]
        look = looks.get(name, Look(GREY, "|", "-"))
        spread = (np.arange(len(found)) - (len(found) - 1) / 2) * 0.25
        for offset, row in zip(spread, found.itertuples(), strict=True):
            face = "white" if row.seed == UNTRAINED and name in looks else look.colour
            interval = np.array([[row.value - row.ci_low], [row.ci_high - row.value]])
            axes.errorbar(
                factor * row.value,
                place + offset,
                xerr=factor * interval.clip(0),
                fmt=look.marker,
                color=look.colour,
                mfc=face,
                ms=6,
                elinewidth=1,
            )
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    return axes


def plot_few_shot(rows: pd.DataFrame, axes: Axes, *, looks: dict[str, Look]) -> Axes:
    """Phase accuracy against the number of labelled videos, of trained runs and baselines."""
    trained = rows[(rows["seed"] != UNTRAINED) | rows["system"].isin(BASELINES)]
    for (name, _), line in trained.groupby(["system", "seed"], sort=False):
        look = looks.get(name, Look(GREY, "", _BASELINE_DASHES.get(name, "-")))
        line = line.sort_values("labelled_videos")
        videos = line["labelled_videos"]
        axes.plot(
            videos,
            100 * line["value"],
            color=look.colour,
            marker=look.marker,
            ls=look.dash,
            label=None if name in BASELINES else name,
        )
        low = 100 * line["ci_low"]
        high = 100 * line["ci_high"]
        axes.fill_between(videos, low, high, color=look.colour, alpha=0.15, lw=0)
    axes.set(xlabel="labelled videos", ylabel="phase accuracy / %", ylim=(0, 105))
    axes.legend(loc="lower right", fontsize=6.5)
    axes.grid()
    return axes
