"""What probes read from layer to layer."""

from pathlib import Path

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from vidrep.report.naming import with_titles
from vidrep.report.style import GREY, INK, Look, grid_height, looks, new_figure, panel_grid
from vidrep.result_tables import read_table
from vidrep.runs import UNTRAINED

_COLUMNS = ("system", "trained_on", "evaluated_on", "seed", "layer", "factor")
_UNTRAINED = (0, (3, 1.2))  # dashes


def draw(
    probes: Path,
    confusion: Path,
    titles: dict[str, str],
    families: dict[str, str],
    dataset: str,
) -> Figure:
    """The figure of one evaluation set; see its declaration."""
    scores = read_table(probes, (*_COLUMNS, "metric", "value", "chance"))
    counts = read_table(confusion, (*_COLUMNS, "count"))
    n = probed_clips(counts, dataset)
    return probe_figure(with_titles(scores, titles), titles[dataset], n, looks(families))


def probed_clips(confusion: pd.DataFrame, dataset: str) -> int:
    """Test clips that the probes on one evaluation set are scored on."""
    rows = confusion[confusion["evaluated_on"] == dataset]
    probe = ["system", "trained_on", "seed", "layer", "factor"]
    return int(rows.groupby(probe)["count"].sum().max())


def probe_figure(probes: pd.DataFrame, dataset: str, n: int, looks: dict[str, Look]) -> Figure:
    """What probes read from each layer on one evaluation set: a panel for each system.

    Args:
        probes: probes.csv, layers in depth order.
        dataset: the evaluation set.
        n: test clips the probes are scored on.
        looks: look of each system, in the order of the panels.
    """
    own = (probes["evaluated_on"] == dataset) & (probes["trained_on"] == dataset)
    rows = probes[own & (probes["metric"] == "balanced_accuracy")]
    systems = [name for name in looks if name in set(rows["system"])]
    classes = rows["factor"].nunique()
    note = (
        f"Each probe tells whether a class is in the clip. Lines: mean over {classes} classes, one"
        " line per seed; bands: ± one standard deviation over classes (first seed). Probes fitted"
        f" on training clips, scored on {n:,} test clips."
    )
    columns = min(4, max(1, len(systems)))
    height = 1.1 + grid_height(len(systems), columns, 2.3)
    title = f"What linear probes read from each layer on {dataset}"
    figure = new_figure(height, title=title, note=note)
    panels = panel_grid(figure, len(systems), columns, sharey=True)
    for place, (system, axes) in enumerate(zip(systems, panels, strict=True)):
        plot_probes(rows[rows["system"] == system], axes, look=looks[system])
        axes.set_title(system, loc="left")
        if place % columns == 0:
            axes.set_ylabel("balanced accuracy / %")
    figure.legend(handles=_handles(), loc="outside upper right", ncols=4)
    return figure


def _handles() -> list[Artist]:
    return [
        Line2D([], [], color=INK, marker="o", label="trained"),
        Line2D(
            [], [], color=GREY, marker="o", mfc="white", ls=_UNTRAINED, label="untrained baseline"
        ),
        Line2D([], [], color=INK, lw=0.8, ls=":", label="chance"),
        Patch(color=GREY, alpha=0.25, label="spread over classes"),
    ]


def plot_probes(rows: pd.DataFrame, axes: Axes, *, look: Look) -> Axes:
    """Mean over classes of balanced accuracy against depth, of all seeds of one system."""
    layers = list(dict.fromkeys(rows["layer"]))
    axes.axhline(100 * rows["chance"].mean(), color=INK, lw=0.8, ls=":")
    x = range(len(layers))
    trained_seeds = 0
    for seed, line in rows.groupby("seed", sort=True):
        values = 100 * line.groupby("layer", sort=False)["value"].agg(["mean", "std"])
        mean = values["mean"].reindex(layers)
        spread = values["std"].reindex(layers)
        if seed == UNTRAINED:
            colour = GREY
            axes.plot(x, mean, marker=look.marker, color=colour, ls=_UNTRAINED, mfc="white")
        else:
            colour = look.colour
            axes.plot(x, mean, marker=look.marker, color=colour)
            trained_seeds += 1
        if seed == UNTRAINED or trained_seeds == 1:
            axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.15, lw=0)
    axes.set_xticks(x, layers, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_ylim(38, 102)
    axes.grid(axis="y")
    return axes
