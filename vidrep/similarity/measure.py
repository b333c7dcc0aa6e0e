"""What a measure declares, and the pieces that its implementation hands to the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vidrep.similarity.kernel import Kernel

CONSTANT = "constant"
TOO_FEW_ROWS = "too_few_rows"
UNDEFINED_ROWS = "undefined_rows"
RANK_ZERO = "rank_zero"
SATURATED = "saturated"
DROPPED_ROWS = "dropped_rows"
TIED = "tied"
TIED_ROWS = "tied_rows"
TRUNCATED = "truncated"
TOO_MANY_UNITS = "too_many_units"


@dataclass
class Prepared:
    """What one measure keeps of one representation while it is compared with the others.

    Attributes:
        flag: "" or why every value with this representation is NaN.
        rank: rank that the measure worked with, None where it uses none.
        data: whatever the measure needs for its pairs.
        scale: size of the representation, for measures that are not blind to it.
        features: its centred feature blocks, for measures that need the activations.
        missing: (n,) mask of clips that the representation lacks, for measures that can do without
            a few.
        again: (mask) -> Prepared without the masked clips, for such measures.
    """

    flag: str
    rank: int | None
    data: Any = None
    scale: float | None = None
    features: Callable[[], Iterator[np.ndarray]] | None = None
    missing: np.ndarray | None = None
    again: Callable[[np.ndarray], Prepared] | None = None


@dataclass
class Cells:
    """A block of comparisons.

    Attributes:
        values: (A, B) values, NaN where undefined.
        flags: (A, B) reasons and remarks, "" for an ordinary value.
        n: (A, B) number of clips used, None where all were.
    """

    values: np.ndarray
    flags: np.ndarray
    n: np.ndarray | None = None


Rows = Sequence[Prepared]

# what most measures are blind to
SAME_GEOMETRY = frozenset({"permutation", "rotation", "scale", "offset"})


@dataclass(frozen=True)
class Measure:
    """One measure: what it is, and how the engine computes it.

    Attributes:
        name: in configurations and tables.
        title: its name for people, with the unit where there is one.
        direction: "similarity" or "distance".
        range: smallest and largest value.
        identity: value of a representation with itself, None where data decide.
        invariances: out of permutation (of features), rotation, scale (one factor), feature_scale
            (a positive factor for each), offset (one vector added to all clips), linear (any
            invertible map).
        symmetric, metric: whether value(a, b) = value(b, a); whether the triangle inequality holds.
        one_sided: (options) -> whether these options make a symmetric measure asymmetric.
        cost: what a pair costs once the representations are prepared; n clips, r rank, d features.
        source: paper.
        prepare: (kernel, options) -> Prepared, the work per representation.
        cross: (rows, columns, options) -> Cells, all pairs of two lists.
        options: names and defaults.
        check: (options) -> None, raises ValueError for a value that is not allowed.
        minimum_n: fewest clips for a value.
        chance: (rows, columns, options) -> (A, B) expected value under random re-pairing of clips.
        jackknife: (rows, columns, options) -> (A, B) delete-one-clip standard errors in closed
            form, or "grouped" to recompute.
        null: (rows, columns, orderings) -> (A, B) counts of re-paired values not below the observed
            one; None to recompute.
        light: whether recomputing for intervals and nulls is cheap enough to be done unasked.
        turned: (options) -> whether these options make a distance a similarity.
        tiled: whether ``cross`` itself keeps to the memory at hand, for any number of
            representations, and finds out which have no value; then nothing is asked of a kernel
            before.
        arrays_per_rep: working memory per representation, in n x n float64 arrays.
        arrays_kept: what of it stays while values are computed.
    """

    name: str
    title: str
    direction: str
    range: tuple[float, float]
    identity: float | None
    invariances: frozenset[str]
    cost: str
    source: str
    prepare: Callable[[Kernel, dict], Prepared]
    cross: Callable[[Rows, Rows, dict], Cells]
    options: dict = field(default_factory=dict)
    check: Callable[[dict], None] | None = None
    symmetric: bool = True
    one_sided: Callable[[dict], bool] | None = None
    metric: bool = False
    minimum_n: int = 4
    chance: Callable[[Rows, Rows, dict], np.ndarray] | None = None
    jackknife: Callable[[Rows, Rows, dict], np.ndarray] | str = "grouped"
    null: Callable[[Rows, Rows, np.ndarray], np.ndarray] | None = None
    light: bool = False
    turned: Callable[[dict], bool] | None = None
    tiled: bool = False
    arrays_per_rep: float = 3.0
    arrays_kept: float = 1.0

    def is_distance(self, options: dict) -> bool:
        """Whether small values mean alike, with these options."""
        return self.direction == "distance" and not (self.turned and self.turned(options))

    def settings(self, given: dict) -> dict:
        """All options, the given ones over the defaults.

        Raises:
            ValueError: an option that the measure does not have, or a value it does not allow.
        """
        for key in given:
            if key not in self.options:
                raise ValueError(
                    f"measure {self.name}: unknown option {key!r}; it takes"
                    f" {', '.join(self.options) or 'none'}"
                )
        options = {**self.options, **given}
        if self.check:
            self.check(options)
        return options


def check_choice(options: dict, key: str, allowed: Sequence) -> None:
    """Raise ValueError unless ``options[key]`` is one of ``allowed``."""
    if options[key] not in allowed:
        raise ValueError(
            f"option {key}: got {options[key]!r}, expected one of {', '.join(map(str, allowed))}"
        )


def check_range(options: dict, key: str, low: float, high: float) -> None:
    """Raise ValueError unless low < options[key] <= high."""
    if not isinstance(options[key], (int, float)) or not low < options[key] <= high:
        raise ValueError(
            f"option {key}: got {options[key]!r}, expected a number above {low} and at most {high}"
        )


def pair_flags(rows: Rows, columns: Rows) -> np.ndarray:
    """(A, B) reasons why a pair has no value.

    It is that of its first representation, else that of its second.
    """
    flags = np.full((len(rows), len(columns)), "", dtype=object)
    for i, j in np.ndindex(flags.shape):
        flags[i, j] = rows[i].flag or columns[j].flag
    return flags


def cells(
    values: np.ndarray,
    rows: Rows,
    columns: Rows,
    remarks: np.ndarray | None = None,
    n: np.ndarray | None = None,
) -> Cells:
    """Cells with NaN where a representation is undefined.

    ``remarks`` stand beside the values that exist.
    """
    flags = pair_flags(rows, columns)
    defined = flags == ""
    if remarks is not None:
        flags = np.where(defined, remarks, flags)
    return Cells(np.where(defined, values, np.nan), flags, n)


def clips_of(*sides: Rows, default: int = 1) -> int:
    """Clips of the arrays that representations keep; ``default`` if none of them keeps one."""
    for side in sides:
        for item in side:
            if not item.flag:
                return len(item.data)
    return default
