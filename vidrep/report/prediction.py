"""Scores of drawn frames along the clip: runs, their untrained twins, and the trivial predictors
that they must beat.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from vidrep.experiment import UNTRAINED
from vidrep.generation.verdict import FAILS
from vidrep.report.style import GREY, INK, Look, new_figure

METRICS = {
    "squared_error_per_frame": "squared error, sum per frame",
    "ssim": "structural similarity (SSIM)",
}
BASELINE_DASHES = {
    "black": "-",
    "repeat_last": (0, (5, 1.5)),
    "mean_frame": (0, (1, 1)),
    "half_last": (0, (8, 1.5, 1, 1.5)),
    "mean_of_inputs": (0, (4, 1, 1, 1)),
    "blurred_truth": (0, (2, 2)),
}
_FAIL_COLOUR = "#B00020"
_NOTE = (
    "Means over {n:,} test clips, a line per seed. Left of the bar a system has seen the frame and"
    " reconstructs it; right of it, it predicts, at horizon 1, 2, ... Grey: the truth blurred by 1"
    " px, and predictors that have learnt nothing. ✗: fails, i.e. its squared error over all"
    " horizons is not clearly (paired over clips, 95 %) below each of theirs."
)


def prediction_figure(
    table: pd.DataFrame, verdicts: pd.DataFrame, dataset: str, n: int, looks: dict[str, Look]
) -> Figure:
    """Squared error and SSIM of every frame that the systems trained on a data set draw of its test
    clips.

    Args:
        table: prediction.csv.
        verdicts: prediction_verdict.csv.
        dataset: the data set.
        n: its test clips.
        looks: look of each system. Systems that see different numbers of frames stand in different
            columns.
    """
    table = table[(table["evaluated_on"] == dataset) & (table["trained_on"] == dataset)]
    failed = failures(
        verdicts[(verdicts["evaluated_on"] == dataset) & (verdicts["trained_on"] == dataset)]
    )
    cuts = sorted(table["observed"].unique())
    metrics = {metric: name for metric, name in METRICS.items() if metric in set(table["metric"])}
    title = f"Frames drawn by the systems trained on {dataset}"
    figure = new_figure(
        1.2 + 2.9 * len(metrics),
        width=max(9.0, 3.2 + 3.6 * len(cuts)),
        title=title,
        note=_NOTE.format(n=n),
    )
    panels = figure.subplots(len(metrics), len(cuts), squeeze=False, sharex="col", sharey="row")
    for line, (metric, name) in zip(panels, metrics.items(), strict=True):
        for axes, cut in zip(line, cuts, strict=True):
            rows = table[(table["metric"] == metric) & (table["observed"] == cut)]
            plot_along_clip(rows, axes, cut=cut, looks=looks, failed=failed)
        line[0].set_ylabel(name)
        if metric != "ssim":
            line[0].set_yscale("log")
            line[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            line[0].yaxis.set_minor_locator(NullLocator())
            line[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for column, cut in zip(panels.T, cuts, strict=True):
        column[0].set_title(f"{cut} frames seen", loc="left")
        column[-1].set_xlabel("frame")
    drawn = [name for name in looks if name in set(table["system"])]
    figure.legend(handles=_handles(drawn, looks, failed), loc="outside right upper")
    return figure


def failures(verdicts: pd.DataFrame) -> dict[str, str]:
    """What to write behind the name of each system of which a trained seed fails to predict."""
    trained = verdicts[verdicts["seed"] != UNTRAINED]
    result = {}
    for system, rows in trained.groupby("system"):
        bad = int((rows["verdict"] == FAILS).sum())
        if bad:
            result[system] = "✗ fails" if bad == len(rows) else f"✗ {bad} of {len(rows)} seeds fail"
    return result


def plot_along_clip(
    rows: pd.DataFrame, axes: Axes, *, cut: int, looks: dict[str, Look], failed: dict[str, str]
) -> Axes:
    """One metric over the frames of the clip, which are seen up to frame ``cut``; horizon 1 is
    frame ``cut`` itself.
    """
    for (system, seed, part), line in rows.groupby(["system", "seed", "part"], sort=True):
        line = line.sort_values("horizon")
        x = line["horizon"] + (cut - 1 if part == "prediction" else 0)
        if system in BASELINE_DASHES:
            axes.plot(x, line["value"], color=GREY, lw=1, ls=BASELINE_DASHES[system], zorder=1.5)
        elif system in looks:
            axes.plot(x, line["value"], **_style(looks[system], seed))
            if system in failed and part == "prediction" and seed != UNTRAINED:
                end = x.iloc[-1], line["value"].iloc[-1]
                axes.annotate(
                    "✗",
                    end,
                    (4, 0),
                    textcoords="offset points",
                    color=_FAIL_COLOUR,
                    fontsize=10,
                    va="center",
                )
    axes.axvline(cut - 0.5, color=INK, lw=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    return axes


def _style(look: Look, seed: str) -> dict:
    """How a run's line is drawn; untrained twins are thin, with open marks."""
    if seed == UNTRAINED:
        return {
            "color": look.colour,
            "ls": (0, (1, 1.5)),
            "lw": 0.9,
            "marker": look.marker,
            "mfc": "white",
            "ms": 3,
        }
    return {"color": look.colour, "ls": look.dash, "marker": look.marker, "ms": 4}


def _handles(systems: list[str], looks: dict[str, Look], failed: dict[str, str]) -> list[Line2D]:
    """The legend: systems, with what became of them, then twins and baselines."""
    trained = [
        Line2D(
            [],
            [],
            label=" ".join(filter(None, [name, failed.get(name, "")])),
            **_style(looks[name], "0"),
        )
        for name in systems
    ]
    twin = Line2D(
        [],
        [],
        color=INK,
        ls=(0, (1, 1.5)),
        lw=0.9,
        marker="o",
        mfc="white",
        ms=3,
        label="untrained twin",
    )
    baselines = [
        Line2D([], [], color=GREY, lw=1, ls=dash, label=name.replace("_", " "))
        for name, dash in BASELINE_DASHES.items()
    ]
    return [*trained, twin, *baselines]
