"""Heat maps of runs or layers against each other, in colours that a measure has everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vidrep.measures import find
from vidrep.report.naming import NO_TITLES
from vidrep.report.style import PALE, Look
from vidrep.result_tables import read_table
from vidrep.runs import UNTRAINED

TEXT_CELLS = 20  # larger matrices get no numbers in their cells


@dataclass(frozen=True)
class Scale:
    """How a measure is shown in every figure.

    From 0 to its largest value; dark means different, whatever its direction.
    """

    limits: tuple[float, float]
    distance: bool
    label: str

    @property
    def cmap(self) -> str:
        return "cividis_r" if self.distance else "cividis"

    def distances(self, values: np.ndarray) -> np.ndarray:
        """Values as distances from 0 upwards; missing ones count as the largest of the range."""
        high = self.limits[1]
        away = np.nan_to_num(values if self.distance else high - values, nan=high).clip(0)
        away = (away + away.T) / 2
        np.fill_diagonal(away, 0)
        return away


def scale_of(measure: str) -> Scale:
    """The scale of a measure.

    Raises:
        ValueError: no such measure.
    """
    found = find(measure)
    return Scale((0.0, found.range[1]), found.direction == "distance", found.title)


def read_similarities(path: Path) -> pd.DataFrame:
    """A similarity table."""
    return read_table(path, ("rep_a", "rep_b", "value", "n"))


def plot_heat_map(values: np.ndarray, axes: Axes, *, scale: Scale) -> Axes:
    """A square matrix in the measure's fixed colours; pale grey where there is no value."""
    cmap = matplotlib.colormaps[scale.cmap].with_extremes(bad=PALE)
    axes.imshow(values, cmap=cmap, vmin=scale.limits[0], vmax=scale.limits[1], aspect="auto")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return axes


def label_runs(
    axes: Axes,
    reps: pd.DataFrame,
    shown_as: dict[str, Look],
    titles: Mapping[str, str] = NO_TITLES,
) -> None:
    """Name the rows of a heat map by run; columns are numbered as the rows."""
    datasets = reps["dataset"].replace(dict(titles))
    name_runs(axes, reps["system"], datasets, reps["seed"], shown_as)
    axes.set_xticks(range(len(reps)), range(1, len(reps) + 1))


def name_runs(
    axes: Axes,
    systems: pd.Series,
    datasets: pd.Series,
    seeds: pd.Series,
    shown_as: dict[str, Look],
) -> None:
    """Number and name the rows of an axis by run, in the colours of the systems."""
    names = []
    for system, dataset, seed in zip(systems, datasets, seeds, strict=True):
        shown_seed = seed if seed == UNTRAINED else f"#{seed}"
        names.append(f"{len(names) + 1}  {system} ← {dataset} {shown_seed}")
    axes.set_yticks(range(len(names)), names)
    axes.yaxis.tick_right()
    for system, seed, label in zip(systems, seeds, axes.get_yticklabels(), strict=True):
        style = "italic" if seed == UNTRAINED else "normal"
        label.set(color=shown_as[system].colour, fontstyle=style)
