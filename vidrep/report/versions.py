"""What other training data change: the layers of one system after training on different data."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from vidrep.report.heat_map import scale_of
from vidrep.report.layer_tables import read_layers
from vidrep.report.naming import with_titles
from vidrep.report.style import GREY, INK, PALE, class_colours, grid_height, new_figure, panel_grid
from vidrep.similarity.verdicts import Verdict, read_verdicts, warning
from vidrep.similarity_analysis.layers import VERSION_COLUMNS

_COLUMNS = 3
_OTHER_SEED = ":"  # dashes
_UNTRAINED = (0, (4, 1.5))


def draw(
    versions: Path,
    verdicts: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
    dataset: str,
) -> Figure:
    """The figure of one evaluation set; see its declaration."""
    rows, measure = read_layers(versions, VERSION_COLUMNS, dataset)
    judged = read_verdicts(*verdicts)
    return versions_figure(with_titles(rows, titles), titles[dataset], measure, families, judged)


def versions_figure(
    versions: pd.DataFrame,
    dataset: str,
    measure: str,
    systems: Iterable[str],
    verdicts: dict[str, Verdict],
) -> Figure:
    """How alike layers are after training on different data: a panel for each system.

    Args:
        versions: versions.csv, of one evaluation set.
        dataset: the evaluation set.
        measure: its measure.
        systems: in the order of the panels; those trained on a single data set have none.
        verdicts: on measures, of ``read_verdicts``.
    """
    scale = scale_of(measure)
    compared = versions[versions["relation"].str.startswith("versions")]
    shown = [name for name in systems if name in set(compared["system"])]
    pairs = list(dict.fromkeys(data_pairs(compared)))
    colours = dict(zip(pairs, class_colours(len(pairs)), strict=True))
    note = (
        "Solid: runs from the same initial weights, with 95 % intervals over clips; dotted: from"
        " other initial weights, mean over pairs of seeds. Grey band: the same data, another seed,"
        " from the least to the most alike. Dashed: a trained run and its untrained baseline, mean"
        " over the data sets trained on."
    )
    columns = min(_COLUMNS, len(shown))
    height = 1.4 + grid_height(len(shown), columns, 2.3)
    title = (
        f"What does other training data change? Layers of one system on {dataset}, {scale.label}"
    )
    note += warning(verdicts, measure)
    figure = new_figure(height, width=3.0 + 3.1 * columns, title=title, note=note)
    panels = panel_grid(figure, len(shown), columns, sharey=True)
    for place, (system, axes) in enumerate(zip(shown, panels, strict=True)):
        plot_versions(versions[versions["system"] == system], axes, colours=colours)
        axes.set_title(system, loc="left")
        axes.set_ylim(scale.limits[0] - 0.03, scale.limits[1] * 1.03)
        if place % columns == 0:
            axes.set_ylabel(scale.label)
    figure.legend(handles=_version_handles(colours), loc="outside right upper")
    return figure


def data_pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """The two data sets that each row compares, in the order of the alphabet."""
    pairs = zip(rows["trained_on_a"], rows["trained_on_b"], strict=True)
    return [tuple(sorted(pair)) for pair in pairs]


def _version_handles(colours: dict[tuple[str, str], tuple]) -> list:
    lines = [
        Line2D([], [], color=colour, label=" – ".join(pair)) for pair, colour in colours.items()
    ]
    return [
        *lines,
        Line2D([], [], color=INK, ls=_OTHER_SEED, label="from other initial weights"),
        Patch(color=PALE, label="retrained, other seed"),
        Line2D([], [], color=GREY, ls=_UNTRAINED, label="trained – untrained baseline"),
    ]


def plot_versions(rows: pd.DataFrame, axes: Axes, *, colours: dict[tuple[str, str], tuple]) -> Axes:
    """One system: similarity against depth."""
    order = rows.drop_duplicates("layer").sort_values("depth")
    layers = order["layer"].tolist()
    x = range(len(order))
    rows = rows.assign(pair=data_pairs(rows))

    def mean(chosen: pd.DataFrame, column: str = "value") -> pd.Series:
        return chosen.groupby("layer")[column].mean().reindex(layers)

    retrained = rows[rows["relation"] == "retraining"].groupby("layer")["value"]
    # wide enough to be seen where all values are equal
    least = retrained.min().reindex(layers) - 0.008
    most = retrained.max().reindex(layers) + 0.008
    axes.fill_between(x, least, most, color=PALE, lw=0, zorder=0)
    axes.plot(x, mean(rows[rows["relation"] == "untrained"]), color=GREY, ls=_UNTRAINED, zorder=1)
    for pair, colour in colours.items():
        of_pair = rows[rows["pair"] == pair]
        same = of_pair[of_pair["relation"] == "versions"]
        other = of_pair[of_pair["relation"] == "versions_other_seed"]
        low = mean(same, "ci_low")
        high = mean(same, "ci_high")
        axes.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
        axes.plot(x, mean(same), color=colour, marker="o", ms=3)
        axes.plot(x, mean(other), color=colour, ls=_OTHER_SEED)
    axes.set_xticks(x, layers, rotation=40, ha="right", rotation_mode="anchor")
    axes.grid(axis="y")
    return axes
