"""Activities detected in videos: time lines, and mean average precision against overlap."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from vidrep.detection.postprocess import smooth
from vidrep.report.naming import run_title
from vidrep.report.style import GREY, INK, new_figure, write_cells

# of Okabe and Ito's palette: segments with the right and with a wrong class
RIGHT = "#56B4E9"
WRONG = "#E69F00"
_HEADS = {"lstm": ("LSTM", "#0072B2", "o"), "softmax": ("softmax per clip", "#D55E00", "s")}
_CURVE = _HEADS["lstm"][1]  # colour of activity curves, which are the LSTM's
_SHOWN = 6  # videos
_LANE = 0.22  # height of the bars below the curve


def draw(
    detections: Path,
    probabilities: Path,
    scores: Path,
    titles: dict[str, str],
    dataset: str,
    system: str,
) -> Figure:
    """The figure of one run; see its declaration."""
    found = json.loads(detections.read_text())
    with np.load(probabilities) as file:
        curves = activity_curves(file["test_lstm"], file["test_clips"], found["k"])
    count = min(_SHOWN, len(curves))
    title = run_title(dataset, system, titles)
    return detection_figure(found, curves, pd.read_csv(scores), title, count)


def activity_curves(probabilities: np.ndarray, clips: np.ndarray, k: int) -> list[np.ndarray]:
    """Of each video the smoothed probability that a clip is not background.

    Args:
        probabilities: (N, K + 1) of the clips of all videos, background first.
        clips: (V,) number of clips of each video.
        k: half-width of the mean filter.
    """
    activity = 1 - smooth(probabilities, clips, k)[:, 0]
    ends = np.cumsum(clips)
    return np.split(activity, ends[:-1])


def detection_figure(
    found: dict,
    curves: list[np.ndarray],
    scores: pd.DataFrame,
    run: str,
    count: int,
) -> Figure:
    """Time lines of the first test videos, and mAP against overlap and for all settings tried.

    Args:
        found: the detections of a run, as ``vidrep.detection.job`` writes them.
        curves: activity curve of each video.
        scores: head, split, k, alpha, metric, value of the run.
        run: for the title.
        count: time lines.
    """
    videos = found["videos"]
    k = found["k"]
    alpha = found["alpha"]
    clip_s = found["clip_frames"] / found["fps"]
    note = (
        f"Left: the first {count} of {len(videos)} test videos, LSTM, mean filter k = {k}"
        f" ({2 * k + 1} clips), threshold alpha = {alpha:g}; numbers: class"
        f" (score). A clip lasts {clip_s:.2f} s. Right: all test"
        " videos; mAP: mean average precision."
    )
    figure = new_figure(1.3 + 0.95 * count, title=f"Activities detected with {run}", note=note)
    left, right = figure.subfigures(1, 2, width_ratios=[2.3, 1])
    panels = left.subplots(count, 1, squeeze=False, sharex=True)[:, 0]
    for axes, video, curve in zip(panels, videos, curves, strict=False):
        plot_timeline(video, curve, axes, clip_s=clip_s, alpha=alpha)
    panels[-1].set_xlabel("time / s")
    left.supylabel("1 - p(background)", fontsize=8)
    left.legend(handles=_timeline_handles(), loc="outside upper left", ncols=5)
    upper, lower = right.subplots(2, 1, height_ratios=[1.3, 1])
    plot_overlap(scores, upper, k=k, alpha=alpha)
    plot_sweep(scores, lower)
    heads, _ = upper.get_legend_handles_labels()
    right.legend(handles=heads, loc="outside upper left", ncols=2)
    return figure


def _timeline_handles() -> list[Artist]:
    return [
        Patch(color=INK, label="truth"),
        Patch(color=RIGHT, label="detected, right class"),
        Patch(fc=WRONG, hatch="////", ec="white", lw=0, label="detected, wrong class"),
        Line2D([], [], color=_CURVE, label="activity curve"),
        Line2D([], [], color=INK, lw=0.8, ls=":", label="alpha"),
    ]


def plot_timeline(
    video: dict,
    curve: np.ndarray,
    axes: Axes,
    *,
    clip_s: float,
    alpha: float,
) -> Axes:
    """One video: its activity curve, and below it the true and the detected segments.

    Args:
        video: name, truth, lstm: see ``detection_figure``.
        curve: (L,) in [0, 1], one value a clip.
        axes: where to draw.
        clip_s: seconds a clip lasts.
        alpha: threshold of the curve.
    """
    edges = clip_s * np.arange(len(curve) + 1)
    axes.stairs(curve, edges, color=_CURVE, baseline=None)
    axes.axhline(alpha, color=INK, lw=0.8, ls=":")
    true_labels = {segment["label"] for segment in video["truth"]}
    for segment in video["truth"]:
        _plot_segment(segment, axes, lane=0, colour=INK)
    for segment in video["lstm"]:
        if segment["label"] in true_labels:
            _plot_segment(segment, axes, lane=1, colour=RIGHT)
        else:
            _plot_segment(segment, axes, lane=1, colour=WRONG, hatch="////", ec="white", lw=0)
    axes.set(ylim=(-0.75, 1.06), yticks=[0, 1], xlim=(0, None))
    axes.set_title(video["name"], loc="left", fontsize=7, color=GREY, pad=1)
    axes.spines["bottom"].set_visible(False)
    axes.axvline(video["duration_s"], color=GREY, lw=0.6)
    return axes


def _plot_segment(segment: dict, axes: Axes, *, lane: int, colour: str, **style) -> None:
    """A bar below the curve with its class, and its score if it was detected."""
    bottom = -0.12 - (lane + 1) * 1.25 * _LANE
    start = segment["start_s"]
    end = segment["end_s"]
    axes.broken_barh([(start, end - start)], (bottom, _LANE), fc=colour, **style)
    text = segment["label"]
    if "score" in segment:
        text = f"{text} ({segment['score']:.2f})"
    x = end + 0.06
    y = bottom + _LANE / 2
    axes.text(x, y, text, fontsize=6.5, va="center", in_layout=False)


def plot_overlap(scores: pd.DataFrame, axes: Axes, *, k: int, alpha: float) -> Axes:
    """mAP of both heads against the temporal overlap asked for, at the chosen settings."""
    of_test = scores["split"] == "test"
    as_chosen = (scores["k"] == k) & (scores["alpha"] == alpha)
    is_map = scores["metric"].str.startswith("map@")
    rows = scores[of_test & as_chosen & is_map]
    overlap = rows["metric"].str.removeprefix("map@").astype(float)
    rows = rows.assign(overlap=overlap).sort_values("overlap")
    for head, (label, colour, marker) in _HEADS.items():
        line = rows[rows["head"] == head]
        axes.plot(line["overlap"], 100 * line["value"], color=colour, marker=marker, label=label)
    axes.set(
        xlabel="temporal overlap (tIoU) asked for",
        ylabel="mAP / %",
        ylim=(-2, 102),
        xlim=(0.05, 0.95),
    )
    axes.grid()
    return axes


def plot_sweep(scores: pd.DataFrame, axes: Axes) -> Axes:
    """mAP at tIoU 0.5 of the LSTM for every threshold and filter that was tried, as a heat map."""
    of_test = scores["split"] == "test"
    of_lstm = scores["head"] == "lstm"
    rows = scores[of_test & of_lstm & (scores["metric"] == "map@0.5")]
    table = 100 * rows.pivot(index="alpha", columns="k", values="value")
    largest = max(1.0, np.nanmax(table))
    axes.imshow(table, aspect="auto", cmap="cividis", vmin=0, vmax=largest)
    texts = table.map("{:.0f}".format).to_numpy()
    write_cells(axes, table.to_numpy(), texts, (0, largest), "cividis", 7)
    axes.set_xticks(range(table.shape[1]), table.columns)
    axes.set_yticks(range(table.shape[0]), [f"{alpha:g}" for alpha in table.index])
    axes.set_title("LSTM: mAP at tIoU 0.5 / %", loc="left")
    axes.set(xlabel="half-width k of the mean filter / clips", ylabel="threshold alpha")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes
