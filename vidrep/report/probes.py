"""What probes read from layer to layer."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from vidrep.report.style import GREY, INK, Look, grid_height, looks, new_figure, panel_grid
from vidrep.result_tables import read_table
from vidrep.runs import UNTRAINED

_COLUMNS = ("system", "trained_on", "evaluated_on", "seed", "layer", "factor")


def draw(probes: Path, confusion: Path, families: dict[str, str], dataset: str) -> Figure:
    """The figure of one evaluation set; see its declaration."""
    scores = read_table(probes, (*_COLUMNS, "metric", "value", "chance"))
    counts = read_table(confusion, (*_COLUMNS, "count"))
    return probe_figure(scores, dataset, probed_clips(counts, dataset), looks(families))


def probed_clips(confusion: pd.DataFrame, dataset: str) -> int:
    """Test clips that the probes on one evaluation set are scored on."""
    rows = confusion[confusion["evaluated_on"] == dataset]
    return int(
        rows.groupby(["system", "trained_on", "seed", "layer", "factor"])["count"].sum().max()
    )


def probe_figure(probes: pd.DataFrame, dataset: str, n: int, looks: dict[str, Look]) -> Figure:
    """Layer-by-layer probe curves on one evaluation set: a panel per system, trained on that set
    against its untrained twin.

    Args:
        probes: probes.csv, layers in depth order.
        dataset: the evaluation set.
        n: test clips the probes are scored on.
        looks: look of each system, in the order of the panels.
    """
    rows = probes[
        (probes["metric"] == "balanced_accuracy")
        & (probes["evaluated_on"] == dataset)
        & (probes["trained_on"] == dataset)
    ]
    systems = [name for name in looks if name in set(rows["system"])]
    classes = rows["factor"].nunique()
    note = (
        f"Each probe tells whether a class is in the clip. Lines: mean over {classes} classes, one"
        " line per seed; bands: ± one standard deviation over classes (first seed). Probes fitted"
        f" on training clips, scored on {n:,} test clips."
    )
    columns = min(4, max(1, len(systems)))
    height = 1.1 + grid_height(len(systems), columns, 2.3)
    figure = new_figure(
        height, title=f"What linear probes read from each layer on {dataset}", note=note
    )
    panels = panel_grid(figure, len(systems), columns, sharey=True)
    for place, (system, axes) in enumerate(zip(systems, panels, strict=True)):
        plot_probes(rows[rows["system"] == system], axes, look=looks[system]).set_title(
            system, loc="left"
        )
        if place % columns == 0:
            axes.set_ylabel("balanced accuracy / %")
    handles = [
        Line2D([], [], color=INK, marker="o", label="trained"),
        Line2D(
            [], [], color=GREY, marker="o", mfc="white", ls=(0, (3, 1.2)), label="untrained twin"
        ),
        Line2D([], [], color=INK, lw=0.8, ls=":", label="chance"),
        Patch(color=GREY, alpha=0.25, label="spread over classes"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=4)
    return figure


def plot_probes(rows: pd.DataFrame, axes: Axes, *, look: Look) -> Axes:
    """Mean over classes of balanced accuracy against depth, of all seeds of one system."""
    layers = list(dict.fromkeys(rows["layer"]))
    axes.axhline(100 * rows["chance"].mean(), color=INK, lw=0.8, ls=":")
    trained_seeds = 0
    for seed, line in rows.groupby("seed", sort=True):
        by_layer = 100 * line.groupby("layer", sort=False)["value"].agg(["mean", "std"]).reindex(
            layers
        )
        twin = seed == UNTRAINED
        style = (
            {"color": GREY, "ls": (0, (3, 1.2)), "mfc": "white"} if twin else {"color": look.colour}
        )
        axes.plot(range(len(layers)), by_layer["mean"], marker=look.marker, **style)
        if twin or not trained_seeds:
            low = by_layer["mean"] - by_layer["std"]
            high = by_layer["mean"] + by_layer["std"]
            axes.fill_between(range(len(layers)), low, high, color=style["color"], alpha=0.15, lw=0)
        trained_seeds += not twin
    axes.set_xticks(range(len(layers)), layers, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_ylim(38, 102)
    axes.grid(axis="y")
    return axes
