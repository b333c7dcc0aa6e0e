"""Does a system use motion? Its accuracy on clips whose time is broken, beside intact ones."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vidrep.report.style import GREY, INK, Look, looks, new_figure
from vidrep.report.tables import (
    FLOOR,
    accuracy_rows,
    count_clips,
    interval_name,
    line_name,
    own_rows,
    read_accuracy,
    result_bars,
    result_lines,
    sizes,
)
from vidrep.runs import UNTRAINED

INTACT = "test"
# Split -> what it is called and its marker, from top to bottom of a system's lanes.
LANES = {
    INTACT: ("intact", "o"),
    "test_reversed": ("reversed", "<"),
    "test_shuffled": ("shuffled", "X"),
    "test_frozen": ("frozen", "s"),
    "test_one_frame": ("one frame", "d"),
}
_LANE_INCHES = 0.115


def draw(
    accuracy: Path,
    clips: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
) -> Figure:
    """The figure of an experiment; see its declaration."""
    table = read_accuracy(accuracy, titles)
    return controls_figure(table, count_clips(clips, titles), looks(families))


def controls_figure(table: pd.DataFrame, clips: dict[str, int], looks: dict[str, Look]) -> Figure:
    """Accuracy of every system on intact and on manipulated clips, a panel for each version.

    Args:
        table: accuracy.csv.
        clips: test clips of each data set.
        looks: look of each system, in the order of the rows.
    """
    rows = pd.concat([accuracy_rows(table, split) for split in LANES])
    lanes = [split for split in LANES if split in set(rows["split"])]
    lines = result_lines(rows, looks)
    note = (
        "Accuracy on intact test clips and on clips whose time is broken. Marks: mean over the"
        f" trained seeds; thin bars: {interval_name(clips)}, of one seed (n: {sizes(clips)}); thick"
        " pale bars: what that changes. Open, grey: the untrained baseline. A system that owes"
        " nothing to motion keeps its marks below each other. Frozen: the middle frame at every"
        " time; one frame: the middle frame, all others black."
    )
    title = "Does it use motion?"
    figure = new_figure(
        1.7 + _LANE_INCHES * (len(lanes) + 1) * max(1, len(lines)), title=title, note=note
    )
    panels = figure.subplots(1, len(clips), sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, clips, strict=True):
        shown = own_rows(rows, dataset)
        plot_controls(shown, axes, lines=lines, lanes=lanes, looks=looks, n=clips[dataset])
        axes.set_title(dataset, loc="left")
    panels[0].set_yticks(range(len(lines)), list(map(line_name, lines)))
    panels[0].set_ylim(max(1, len(lines)) - 0.5, -0.5)
    handles = _handles(lanes)
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


def _handles(lanes: list[str]) -> list[Line2D]:
    handles = []
    for split in lanes:
        name, marker = LANES[split]
        handles.append(Line2D([], [], color=INK, marker=marker, ls="", mew=1.1, label=name))
    floor = "always the commonest label set"
    handles.append(Line2D([], [], color=INK, ls=(0, (2, 2)), lw=1, label=floor))
    return handles


def plot_controls(
    rows: pd.DataFrame,
    axes: Axes,
    *,
    lines: list[tuple[str, str]],
    lanes: list[str],
    looks: dict[str, Look],
    n: int,
) -> Axes:
    """The results on one version: a band for each of ``lines``, in it a lane for each split."""
    for value in rows.loc[rows["system"] == FLOOR, "value"]:
        axes.axvline(100 * value, color=INK, ls=(0, (2, 2)), lw=1)
    rows = rows.assign(untrained=rows["seed"] == UNTRAINED)
    by_line = rows.groupby(["system", "variant", "untrained", "split"])
    means = by_line["value"].mean()
    ends = by_line[["ci_low", "ci_high"]].mean()
    step = 1 / (len(lanes) + 1)
    for place, line in enumerate(lines):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color="#f5f5f5", lw=0, zorder=0)
        for lane, split in enumerate(lanes):
            height = place + (lane - (len(lanes) - 1) / 2) * step
            for untrained in (True, False):
                key = (*line, untrained, split)
                if key not in means.index:
                    continue
                _mark(
                    axes,
                    means[key],
                    height,
                    means.get((*line, untrained, INTACT), means[key]),
                    colour=looks[line[0]].colour,
                    marker=LANES[split][1],
                    hollow=untrained,
                    bars=result_bars(means[key], *ends.loc[key], n),
                )
    axes.set(xlim=(-2, 102), xticks=range(0, 101, 20), xlabel="accuracy / %")
    axes.grid(axis="x")
    axes.tick_params(left=False)
    return axes


def _mark(
    axes: Axes,
    value: float,
    height: float,
    intact: float,
    *,
    colour: tuple,
    marker: str,
    hollow: bool,
    bars: np.ndarray,
) -> None:
    """One share with its interval, and the way to it from the share of intact clips.

    Hollow marks are in the background, without either.
    """
    if hollow:
        axes.errorbar(100 * value, height, fmt=marker, color=GREY, mfc="white", mew=1.0, ms=4)
        return
    way = (100 * min(value, intact), 100 * max(value, intact))
    axes.hlines(height, *way, color=colour, lw=2.2, alpha=0.3)
    axes.errorbar(
        100 * value,
        height,
        xerr=bars,
        fmt=marker,
        color=colour,
        mfc=colour,
        mew=1.0,
        ms=4,
        elinewidth=0.9,
    )
