"""Curves: learning over epochs, and what probes read from layer to layer."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from vidrep.report.style import GREY, INK, Look, broken, grid_height, new_figure, panel_grid
from vidrep.report.tables import ACCURACIES
from vidrep.runs import UNTRAINED

_COLUMNS = 6
_SPLIT_DASHES = {"train": (0, (3, 1.2)), "validation": "-"}


def learning_figure(histories: pd.DataFrame, dataset: str, looks: dict[str, Look]) -> Figure:
    """Loss and accuracy over epochs on one data set: a column per system, a line per seed.

    Args:
        histories: epoch, split, metric, value, dataset, system, seed of all runs.
        dataset: the data set trained on.
        looks: look of each system, in the order of the columns.
    """
    histories = histories[histories["dataset"] == dataset]
    systems = [name for name in looks if name in set(histories["system"])]
    note = (
        "One line per seed. Training loss: mean over the epoch's steps; validation: at its end. "
        "Losses of different systems differ in kind, so each has its own scale."
    )
    columns = min(_COLUMNS, len(systems))
    blocks = -(-len(systems) // columns)
    figure = new_figure(
        0.9 + 3.5 * blocks,
        width=1.2 + 1.65 * columns,
        title=f"Learning curves on {dataset}",
        note=note,
    )
    panels = figure.subplots(2 * blocks, columns, squeeze=False)
    pairs = zip(panels[::2].ravel(), panels[1::2].ravel(), strict=True)
    for place, (top, bottom) in enumerate(pairs):
        if place >= len(systems):
            top.set_axis_off()
            bottom.set_axis_off()
            continue
        system = systems[place]
        plot_run_curves(histories[histories["system"] == system], top, bottom, look=looks[system])
        top.set_title(broken(system, 22), loc="left")
        if place % columns == 0:
            top.set_ylabel("loss")
            bottom.set_ylabel("accuracy / %")
    handles = [
        Line2D([], [], color=INK, ls=dash, label=split) for split, dash in _SPLIT_DASHES.items()
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    return figure


def plot_run_curves(rows: pd.DataFrame, top: Axes, bottom: Axes, *, look: Look) -> None:
    """Loss and accuracy of all seeds of one system."""
    plot_history(rows[rows["metric"] == "loss"], top, look=look)
    accuracy = rows[rows["metric"].isin(ACCURACIES)]
    plot_history(accuracy.assign(value=100 * accuracy["value"]), bottom, look=look)
    bottom.set(ylim=(-3, 103), xlabel="epoch", xlim=top.get_xlim())
    if accuracy.empty:
        bottom.text(
            0.5, 0.5, "no class scores", ha="center", color=GREY, transform=bottom.transAxes
        )


def plot_history(rows: pd.DataFrame, axes: Axes, *, look: Look) -> Axes:
    """One metric of one system over epochs."""
    for (split, _), line in rows.groupby(["split", "seed"], sort=True):
        marker = "." if len(line) == 1 else ""
        axes.plot(
            line["epoch"], line["value"], color=look.colour, ls=_SPLIT_DASHES[split], marker=marker
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid()
    return axes


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
