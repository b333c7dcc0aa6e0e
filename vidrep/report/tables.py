"""What several figures ask of the experiment's long tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from vidrep.datasets.store import clip_counts, group_counts
from vidrep.report.naming import with_titles
from vidrep.result_tables import read_table
from vidrep.statistics import enough, wilson_interval

ACCURACIES = ("exact_set", "top1")  # what "accuracy" means: many labels a clip, or one
FLOOR = "majority_set"
VARIANTS = {"map": "most probable set"}  # how variants of a metric are written, if not as they are
_ACCURACY_COLUMNS = (
    *("system", "trained_on", "evaluated_on", "seed", "split", "metric"),
    *("value", "ci_low", "ci_high"),
)


def read_accuracy(path: Path, titles: Mapping[str, str]) -> pd.DataFrame:
    """The table of accuracies, data sets by their titles."""
    return with_titles(read_table(path, _ACCURACY_COLUMNS), titles)


class Clips(int):
    """A number of clips that knows in how many independent groups they come.

    Attributes:
        groups: persons, sources or the like; None where each clip is independent.
    """

    groups: int | None = None

    @property
    def independent(self) -> int:
        """As many independent clips bear an interval that is never too short; 0 for none.

        Of groups that is one clip each: the most that clips of a group can be alike.
        """
        if self.groups is None or self.groups == self:
            return int(self)
        return self.groups if enough(self.groups, self) else 0


def count_clips(paths: Iterable[Path], titles: Mapping[str, str]) -> dict[str, Clips]:
    """Number of clips of each data set, by its title."""
    paths = list(paths)
    groups = group_counts(paths)
    found = {}
    for name, count in clip_counts(paths).items():
        found[titles[name]] = Clips(count)
        found[titles[name]].groups = groups.get(name)
    return found


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
    """Wilson intervals of shares of ``n``, as lengths of bars in %: (2, k), down and up.

    Of ``Clips`` in groups they are as long as if there were one clip a group; of too few groups
    there are none.
    """
    shares = np.atleast_1d(np.asarray(shares, float))
    independent = n.independent if isinstance(n, Clips) else n
    if not independent:
        return np.zeros((2, len(shares)))
    low, high = wilson_interval(shares, independent)
    return 100 * np.array([shares - low, high - shares]).clip(0)


def result_bars(value: float, low: float, high: float, n: int) -> np.ndarray:
    """Lengths of the bars of one result, (2, 1) in %: over groups of clips those of the table.

    Args:
        value, low, high: of a row of accuracy.csv, or means of several.
        n: clips, as ``count_clips`` tells them.
    """
    if getattr(n, "groups", None) is None or np.isnan(low):
        return error_bars(value, n)
    ends = np.array([[value - low], [high - value]])
    return 100 * ends.clip(0)


def interval_name(clips: Mapping[str, int]) -> str:
    """What the bars of ``result_bars`` are, for the note of a figure."""
    if any(getattr(n, "groups", None) is not None for n in clips.values()):
        return "95 % interval over groups of test clips, where they come in groups"
    return "95 % Wilson interval over test clips"


def line_name(line: tuple[str, str]) -> str:
    """A (system, variant) as it is written beside its results."""
    system, variant = line
    return " · ".join(filter(None, [system, VARIANTS.get(variant, variant)]))


def sizes(clips: Mapping[str, int]) -> str:
    """Clip counts of data sets in words: one number if all are the same."""
    told = {name: _size(n) for name, n in clips.items()}
    if len(told) == 1:
        return next(iter(told.values()))
    if len(set(told.values())) == 1:
        return f"{next(iter(told.values()))} each"
    return ", ".join(f"{name} {size}" for name, size in told.items())


def _size(n: int) -> str:
    """A number of clips in words, and in how many groups they come."""
    groups = getattr(n, "groups", None)
    if groups in (None, n):
        return f"{n:,}"
    few = "" if enough(groups, n) else ", too few for intervals"
    return f"{n:,} in {groups} groups{few}"
