"""Few labels: accuracy against the number of training clips whose labels were used."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from vidrep.report.style import INK, Look, looks, new_figure
from vidrep.report.tables import FLOOR, accuracy_rows, count_clips, error_bars, read_accuracy, sizes
from vidrep.runs import UNTRAINED


def draw(
    accuracy: Path,
    clips: list[Path],
    titles: dict[str, str],
    families: dict[str, str],
    lines: dict[str, dict[str, int]],
) -> Figure:
    """The figure of an experiment; see its declaration."""
    line_families = {name: families[next(iter(line))] for name, line in lines.items()}
    table = read_accuracy(accuracy, titles)
    return few_labels_figure(table, count_clips(clips, titles), lines, looks(line_families))


def few_labels_figure(
    table: pd.DataFrame,
    clips: dict[str, int],
    lines: dict[str, dict[str, int]],
    looks: dict[str, Look],
) -> Figure:
    """Test accuracy against labelled training clips, a panel for each version trained on.

    Args:
        table: accuracy.csv.
        clips: test clips of each data set.
        lines: name of a line to its systems, which differ in the number of labelled clips alone,
            and these numbers.
        looks: look of each line.
    """
    rows = accuracy_rows(table)
    own = labelled_rows(rows, lines)
    shown = [dataset for dataset in clips if dataset in set(own["evaluated_on"])]
    note = (
        "Dots: one seed each; lines: mean over seeds; bars: 95 % Wilson interval over test clips"
        f" (n: {sizes({name: clips[name] for name in shown})}). Systems of one line differ in"
        " nothing but the number of labelled clips; all see the same ones, fewer being a subset of"
        " more."
    )
    width = 3.2 + 3.4 * max(1, len(shown))
    figure = new_figure(4.4, width=width, title="Accuracy with few labels", note=note)
    panels = figure.subplots(1, max(1, len(shown)), sharey=True, squeeze=False)[0]
    for dataset, axes in zip(shown, panels, strict=False):
        floor = rows[(rows["system"] == FLOOR) & (rows["evaluated_on"] == dataset)]
        for value in floor["value"]:
            axes.axhline(100 * value, color=INK, ls=(0, (2, 2)), lw=1)
        found = own[own["evaluated_on"] == dataset]
        plot_few_labels(found, axes, lines=lines, looks=looks, n=clips[dataset])
        axes.set_title(dataset, loc="left")
    panels[0].set_ylabel("accuracy / %")
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, ls=look.dash, label=name)
        for name, look in looks.items()
    ]
    handles.append(
        Line2D([], [], color=INK, ls=(0, (2, 2)), lw=1, label="always the commonest\nlabel set")
    )
    figure.legend(handles=handles, loc="outside right upper")
    return figure


def labelled_rows(rows: pd.DataFrame, lines: dict[str, dict[str, int]]) -> pd.DataFrame:
    """Accuracies of the trained systems of ``lines`` on their own data, with their ``labelled``."""
    counts = {}
    for systems in lines.values():
        counts |= systems
    trained = (rows["seed"] != UNTRAINED) & (rows["trained_on"] == rows["evaluated_on"])
    own = rows[trained & rows["system"].isin(counts) & (rows["variant"] == "")]
    return own.assign(labelled=own["system"].map(counts))


def plot_few_labels(
    rows: pd.DataFrame,
    axes: Axes,
    *,
    lines: dict,
    looks: dict[str, Look],
    n: int,
) -> Axes:
    """A line for each of ``lines`` over a logarithmic axis of labelled clips.

    ``rows`` have a column ``labelled``.
    """
    for place, (name, systems) in enumerate(lines.items()):
        look = looks[name]
        found = rows[rows["system"].isin(systems)]
        beside = 1.05 ** (place - (len(lines) - 1) / 2)  # keeps intervals of several lines apart
        means = 100 * found.groupby("labelled")["value"].mean()
        axes.plot(means.index * beside, means, color=look.colour, ls=look.dash)
        axes.errorbar(
            found["labelled"] * beside,
            100 * found["value"],
            yerr=error_bars(found["value"], n),
            fmt=look.marker,
            color=look.colour,
            elinewidth=1.1,
        )
    ticks = sorted(set(rows["labelled"]))
    axes.set(xscale="log", ylim=(-3, 103), xlabel="labelled training clips")
    axes.set_xticks(ticks, [f"{count:,}" for count in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xmargin(0.12)
    axes.grid()
    return axes
