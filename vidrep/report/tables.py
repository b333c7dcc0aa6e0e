"""What several figures ask of the experiment's long tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from vidrep.datasets.store import clip_counts
from vidrep.report.naming import with_titles
from vidrep.result_tables import read_table
from vidrep.statistics import wilson_interval

ACCURACIES = ("exact_set", "top1")  # what "accuracy" means: many labels a clip, or one
FLOOR = "majority_set"
VARIANTS = {"map": "most probable set"}  # how variants of a metric are written, if not as they are
_ACCURACY_COLUMNS = ("system", "trained_on", "evaluated_on", "seed", "split", "metric", "value")


def read_accuracy(path: Path, titles: Mapping[str, str]) -> pd.DataFrame:
    """The table of accuracies, data sets by their titles."""
    return with_titles(read_table(path, _ACCURACY_COLUMNS), titles)


def count_clips(paths: Iterable[Path], titles: Mapping[str, str]) -> dict[str, int]:
    """Number of clips of each data set, by its title."""
    return {titles[name]: count for name, count in clip_counts(paths).items()}


def accuracy_rows(table: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """The rows of accuracy.csv that are accuracies on ``split``.

    A column ``variant`` is added: "", or what follows the metric's name, such as "spatial" for one
    of two streams.
    """
    rows = table[table["split"] == split]
    pattern = rf"^(?:{'|'.join(ACCURACIES)})(?:_(?P<variant>\w+))?$"
    matched = rows["metric"].str.match(pattern)
    variants = rows["metric"].str.extract(pattern)["variant"].fillna("")
    return rows[matched].assign(variant=variants[matched])


def result_lines(rows: pd.DataFrame, systems: Iterable[str]) -> list[tuple[str, str]]:
    """Each (system, variant) that ``rows`` has a result of, in the order of ``systems``."""
    lines = []
    for system in systems:
        variants = rows.loc[rows["system"] == system, "variant"]
        lines += [(system, variant) for variant in variants.unique()]
    return lines


def own_rows(rows: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Of results on ``dataset`` those of runs trained on it, and of the floor."""
    here = rows[rows["evaluated_on"] == dataset]
    return here[(here["trained_on"] == dataset) | (here["system"] == FLOOR)]


def error_bars(shares: float | np.ndarray, n: int) -> np.ndarray:
    """Wilson intervals of shares of ``n``, as lengths of bars in %: (2, k), down and up."""
    shares = np.atleast_1d(np.asarray(shares, float))
    low, high = wilson_interval(shares, n)
    return 100 * np.array([shares - low, high - shares]).clip(0)


def line_name(line: tuple[str, str]) -> str:
    """A (system, variant) as it is written beside its results."""
    system, variant = line
    return " · ".join(filter(None, [system, VARIANTS.get(variant, variant)]))


def sizes(clips: dict[str, int]) -> str:
    """Clip counts of data sets in words: one number if all are the same."""
    if len(set(clips.values())) == 1:
        return f"{next(iter(clips.values())):,} each"
    return ", ".join(f"{name} {n:,}" for name, n in clips.items())
