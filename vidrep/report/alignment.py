"""Alignment: how well embeddings of frames tell where in a common script a video is, and matched
videos to look at.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image, ImageDraw, ImageFont

from vidrep.report.style import GREY, INK, PALE, Look, class_colours, new_figure, panel_grid
from vidrep.runs import UNTRAINED

BASELINES = {"frame_index": "frame number", "raw_pixels": "pixels", "chance": "chance"}
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
_FRAME_INCHES = 0.5
_SHOWN = 16  # frames of a strip
_TILE_PX = 100
_GAP_PX = 8
_BAR_PX = 6
_TEXT_PX = 13


def alignment_figure(
    table: pd.DataFrame, dataset: str, looks: dict[str, Look], videos: int
) -> Figure:
    """All measures on one data set: dots for the runs trained on it, lines of few-shot accuracy,
    and the baselines.

    Args:
        table: alignment.csv.
        dataset: where videos are aligned.
        looks: look of each system, in the order of the rows.
        videos: test videos.
    """
    rows = table[
        (table["evaluated_on"] == dataset)
        & ((table["trained_on"] == dataset) | table["system"].isin(BASELINES))
    ]
    systems = [name for name in looks if name in set(rows["system"])]
    lines = systems + [name for name in BASELINES if name in set(rows["system"])]
    note = (
        f"All ordered pairs of {videos} test videos, all their frames. Tau and misalignment need no"
        " labels. Dots: one seed; bars: 95 % bootstrap interval over test videos. Right: mean and"
        " 95 % interval over random choices of labelled videos."
    )
    figure = new_figure(
        3.1 + 0.2 * len(lines),
        width=15.0,
        title=f"Alignment of videos of one process: {dataset}",
        note=note,
    )
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
        Line2D([], [], color=INK, marker="o", ls="", mfc="white", label="untrained twin"),
        *(
            Line2D([], [], color=GREY, ls=_BASELINE_DASHES[name], label=BASELINES[name])
            for name in lines
            if name in BASELINES
        ),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))
    return figure


def plot_measure(
    rows: pd.DataFrame, axes: Axes, *, lines: list[str], looks: dict[str, Look], factor: float
) -> Axes:
    """Dots with intervals of one metric; where a metric was taken with several numbers of labels,
    that with the most.
    """
    rows = rows[rows["labelled_videos"].fillna(0) == rows["labelled_videos"].fillna(0).max()]
    for place, name in enumerate(lines):
        found = rows[rows["system"] == name]
        look = looks.get(name, Look(GREY, "|", "-"))
        spread = (np.arange(len(found)) - (len(found) - 1) / 2) * 0.25
        for offset, row in zip(spread, found.itertuples(), strict=True):
            face = "white" if row.seed == UNTRAINED and name in looks else look.colour
            error = factor * np.array([[row.value - row.ci_low], [row.ci_high - row.value]]).clip(0)
            axes.errorbar(
                factor * row.value,
                place + offset,
                xerr=error,
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
    """Phase accuracy against the number of labelled videos; without untrained twins, whose dots
    stand in the other panels.
    """
    trained = rows[(rows["seed"] != UNTRAINED) | rows["system"].isin(BASELINES)]
    for (name, _), line in trained.groupby(["system", "seed"], sort=False):
        look = looks.get(name, Look(GREY, "", _BASELINE_DASHES.get(name, "-")))
        line = line.sort_values("labelled_videos")
        label = None if name in BASELINES else name
        axes.plot(
            line["labelled_videos"],
            100 * line["value"],
            color=look.colour,
            marker=look.marker,
            ls=look.dash,
            label=label,
        )
        axes.fill_between(
            line["labelled_videos"],
            100 * line["ci_low"],
            100 * line["ci_high"],
            color=look.colour,
            alpha=0.15,
            lw=0,
        )
    axes.set(xlabel="labelled videos", ylabel="phase accuracy / %", ylim=(0, 105))
    axes.legend(loc="lower right", fontsize=6.5)
    axes.grid()
    return axes


def matches_figure(matches: dict[str, np.ndarray], run: str) -> Figure:
    """Query videos, and below each the frames of other videos that are matched to it; bars tell the
    true phases.

    Args:
        matches: as ``vidrep.alignment.job.write_matches`` writes them; empty for a run that embeds
            no frames.
        run: for the title.
    """
    if not matches:
        return new_figure(
            1.2,
            title=f"Videos aligned by {run}",
            note="This run has no embedding for each frame: nothing to align.",
        )
    queries, lines, frames = matches["phase"].shape
    taken = np.linspace(0, frames - 1, min(_SHOWN, frames)).round().astype(int)
    note = (
        "Top of each block: frames of a test video in their order. Below: frames of other videos"
        " with the nearest embeddings. Bars: the true phase of the frame above, that is how many"
        " walls have been hit; columns of one colour are aligned."
    )
    width = 1.6 + _FRAME_INCHES * len(taken)
    height = 1.0 + queries * lines * (_FRAME_INCHES + 0.14)
    figure = new_figure(height, width=width, title=f"Videos aligned by {run}", note=note)
    panels = panel_grid(figure, queries * lines, 1)
    for place, axes in enumerate(panels):
        query, line = divmod(place, lines)
        name = "query" if line == 0 else "matched"
        shown = {key: matches[key][query, line][taken] for key in ("clips", "phase")}
        plot_matched(
            shown["clips"],
            shown["phase"],
            axes,
            label=f"{name}, digit {matches['digit'][query, line]}",
        )
    return figure


def plot_matched(clip: np.ndarray, phase: np.ndarray, axes: Axes, *, label: str) -> Axes:
    """Frames (k, H, W[, 3]) side by side with a bar below each in the colour of its phase."""
    colours = class_colours(10)
    height, width = clip.shape[1:3]
    for i, (frame, colour) in enumerate(
        zip(clip, (colours[number] for number in phase), strict=True)
    ):
        left = i * (width + 2)
        axes.imshow(frame, extent=(left, left + width, height, 0), cmap="gray", vmin=0, vmax=255)
        axes.fill_between((left, left + width), height + 1, height + 4, color=colour, lw=0)
    axes.set(
        xlim=(0, len(clip) * (width + 2)),
        ylim=(height + 4, 0),
        xticks=[],
        yticks=[],
        aspect="equal",
    )
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    axes.spines[:].set_visible(False)
    return axes


def matches_animation(matches: dict[str, np.ndarray]) -> list[Image.Image]:
    """One picture a frame of the query videos: each query, and beside it the frames matched to it,
    enlarged pixel by pixel.

    A bar below each frame is as long as the true share of the script that has passed there.
    """
    clips = matches["clips"]
    progress = matches["progress"]
    phase = matches["phase"]
    queries, lines, frames, height, width = clips.shape[:5]
    factor = max(1, round(_TILE_PX / height))
    cell = factor * width + _GAP_PX, factor * height + _BAR_PX + _GAP_PX
    top = _TEXT_PX + 2 * _GAP_PX
    colours = [tuple(round(255 * c) for c in to_rgb(colour)) for colour in class_colours(10)]
    pictures = []
    for t in range(frames):
        picture = Image.new("RGB", (lines * cell[0] + _GAP_PX, top + queries * cell[1]), "white")
        pen = ImageDraw.Draw(picture)
        font = ImageFont.load_default(_TEXT_PX)
        for i, j in np.ndindex(queries, lines):
            x = _GAP_PX + j * cell[0]
            y = top + i * cell[1]
            if i == 0:
                pen.text(
                    (x, _GAP_PX // 2),
                    f"query, frame {t}" if j == 0 else "matched",
                    INK if j == 0 else GREY,
                    font,
                )
            enlarged = clips[i, j, t].repeat(factor, 0).repeat(factor, 1)
            picture.paste(Image.fromarray(enlarged).convert("RGB"), (x, y))
            below = y + factor * height + 1
            pen.rectangle((x, below, x + factor * width - 1, below + _BAR_PX - 2), PALE)
            pen.rectangle(
                (x, below, x + progress[i, j, t] * (factor * width - 1), below + _BAR_PX - 2),
                colours[phase[i, j, t]],
            )
        pictures.append(picture)
    return pictures
