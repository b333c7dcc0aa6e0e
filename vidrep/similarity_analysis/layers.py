"""Which layers correspond: of two systems, and of one system after training on different data."""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from vidrep.measures import find
from vidrep.result_tables import first_seeds, representations, square
from vidrep.runs import UNTRAINED

NUMBERS = ("value", "ci_low", "ci_high")
MATCH_COLUMNS = (
    "system_a",
    "seed_a",
    "layer_a",
    "depth_a",
    "system_b",
    "seed_b",
    "choice",
    "layer_b",
    "depth_b",
    *NUMBERS,
)
VERSION_COLUMNS = (
    "system",
    "relation",
    "trained_on_a",
    "seed_a",
    "trained_on_b",
    "seed_b",
    "layer",
    "depth",
    *NUMBERS,
)


class Run(NamedTuple):
    """A run as similarity tables name it."""

    trained_on: str
    system: str
    seed: str


def depths(layers: int) -> np.ndarray:
    """Relative depth of each of so many layers: 0 for the first, 1 for the embedding.

    An only layer is the embedding.
    """
    return np.linspace(0, 1, layers) if layers > 1 else np.ones(1)


class Pairs:
    """The values of a similarity table, with their intervals, by run."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.reps = representations(table).reset_index(drop=True)
        self.numbers = {
            name: square(table.assign(value=table[name]), self.reps["rep"]) for name in NUMBERS
        }
        by_run = self.reps.groupby(["dataset", "system", "seed"], sort=False)
        self.rows = {Run(*key): np.asarray(rows) for key, rows in by_run.indices.items()}

    def block(self, a: Run, b: Run, name: str = "value") -> np.ndarray:
        """(layers of a, layers of b) values, or one bound of their intervals."""
        return self.numbers[name][np.ix_(self.rows[a], self.rows[b])]

    def layers(self, run: Run) -> list[str]:
        """Names of a run's layers in depth order."""
        return self.reps["layer"].iloc[self.rows[run]].tolist()


def layer_matches(
    table: pd.DataFrame,
    dataset: str,
    measure: str,
    systems: list[str],
) -> pd.DataFrame:
    """For each layer of each system the best layer of every other, and the one at equal depth.

    Systems are shown by their first run on the evaluation set, and against themselves by the second
    seed where there is one. The best of several layers is chosen by the value that is then
    reported, so ``choice`` "best" is biased towards likeness; the interval does not know of the
    choice. "equal_depth" is free of it.

    Args:
        table: similarity/<dataset>/<measure>.csv.
        dataset: the evaluation set.
        measure: its measure.
        systems: in the order of the rows.

    Returns:
        One row a pair of systems, layer and choice; columns ``MATCH_COLUMNS``.
    """
    pairs = Pairs(table)
    sign = -1 if find(measure).direction == "distance" else 1
    own = first_seeds(pairs.reps[pairs.reps["dataset"] == dataset])
    seeds = dict(zip(own["system"], own["seed"], strict=True))
    first = {name: Run(dataset, name, seeds[name]) for name in systems if name in seeds}
    rows = []
    for system_a, a in first.items():
        for system_b, b in first.items():
            other = second_run(pairs, a) if system_a == system_b else b
            if other is not None:
                rows += _match_rows(pairs, a, other, sign)
    return pd.DataFrame(rows, columns=MATCH_COLUMNS)


def second_run(pairs: Pairs, run: Run) -> Run | None:
    """The next seed of a trained run; None without one."""
    if run.seed == UNTRAINED:
        return None
    others = [
        other
        for other in pairs.rows
        if other[:2] == run[:2] and other.seed not in (UNTRAINED, run.seed)
    ]
    return min(others, key=lambda other: int(other.seed), default=None)


def _match_rows(pairs: Pairs, a: Run, b: Run, sign: int) -> Iterator[tuple]:
    """Rows of ``MATCH_COLUMNS`` for the layers of run a; ``sign`` is -1 for distances."""
    values = pairs.block(a, b)
    low = pairs.block(a, b, "ci_low")
    high = pairs.block(a, b, "ci_high")
    layers_b = pairs.layers(b)
    depths_b = depths(len(layers_b))
    own_layers = pairs.layers(a)
    for i, (layer, depth) in enumerate(zip(own_layers, depths(len(own_layers)), strict=True)):
        score = np.where(np.isnan(values[i]), -np.inf, sign * values[i])
        chosen = {
            "best": int(score.argmax()),
            "equal_depth": int(np.abs(depths_b - depth).argmin()),
        }
        for choice, j in chosen.items():
            own = (a.system, a.seed, layer, depth)
            other = (b.system, b.seed, choice, layers_b[j], depths_b[j])
            yield (*own, *other, values[i, j], low[i, j], high[i, j])


def version_rows(table: pd.DataFrame, systems: list[str]) -> pd.DataFrame:
    """Layer by layer, runs of one system against each other on the same clips.

    Returns:
        One row a system, pair of runs and layer; columns ``VERSION_COLUMNS``. ``relation``:
        "versions" (trained on two data sets from the same initial weights), "versions_other_seed"
        (from other ones), "retraining" (the same data set, two seeds: what chance in training
        leaves alike), "untrained" (a run and its untrained baseline: what the initial weights
        bring).
    """
    pairs = Pairs(table)
    rows = []
    for system in systems:
        runs = [run for run in pairs.rows if run.system == system]
        for a, b in combinations(runs, 2):
            layers = pairs.layers(a)
            numbers = [np.diag(pairs.block(a, b, name)) for name in NUMBERS]
            both = (system, relation(a, b), a.trained_on, a.seed, b.trained_on, b.seed)
            for line in zip(layers, depths(len(layers)), *numbers, strict=True):
                rows.append((*both, *line))
    return pd.DataFrame(rows, columns=VERSION_COLUMNS)


def relation(a: Run, b: Run) -> str:
    """How two runs of one system differ, see ``version_rows``."""
    if UNTRAINED in (a.seed, b.seed):
        return "untrained"
    if a.trained_on == b.trained_on:
        return "retraining"
    return "versions" if a.seed == b.seed else "versions_other_seed"
