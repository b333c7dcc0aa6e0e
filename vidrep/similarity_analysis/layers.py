"""Which layers of two systems correspond, and how alike the layers of one system are after training
on different data.
"""

from collections.abc import Iterator
from itertools import combinations

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


def depths(layers: int) -> np.ndarray:
    """Relative depth of each of so many layers: 0 for the first, 1 for the embedding, which an only
    layer is.
    """
    return np.linspace(0, 1, layers) if layers > 1 else np.ones(1)


class Pairs:
    """The values of a similarity table, with their intervals, by run: a run is (trained on, system,
    seed).
    """

    def __init__(self, table: pd.DataFrame) -> None:
        reps = representations(table).reset_index(drop=True)
        self.reps = reps
        self.numbers = {
            name: square(table.assign(value=table[name]), reps["rep"]) for name in NUMBERS
        }
        self.rows = {
            key: np.asarray(rows)
            for key, rows in reps.groupby(["dataset", "system", "seed"], sort=False).indices.items()
        }

    def block(self, a: tuple, b: tuple, name: str = "value") -> np.ndarray:
        """(layers of a, layers of b) values, or one bound of their intervals."""
        return self.numbers[name][np.ix_(self.rows[a], self.rows[b])]

    def layers(self, run: tuple) -> list[str]:
        """Names of a run's layers in depth order."""
        return self.reps["layer"].iloc[self.rows[run]].tolist()


def layer_matches(
    table: pd.DataFrame, dataset: str, measure: str, systems: list[str]
) -> pd.DataFrame:
    """For each layer of each system the most similar layer of every other, and the layer at equal
    relative depth.

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
    own = pairs.reps[pairs.reps["dataset"] == dataset]
    first = {
        system: (dataset, system, seed)
        for system, seed in first_seeds(own)[["system", "seed"]].itertuples(index=False)
    }
    rows = []
    for system_a in (name for name in systems if name in first):
        for system_b in (name for name in systems if name in first):
            a = first[system_a]
            b = first[system_b] if system_a != system_b else second_run(pairs, first[system_a])
            if b is not None:
                rows += _match_rows(pairs, a, b, sign)
    return pd.DataFrame(rows, columns=MATCH_COLUMNS)


def second_run(pairs: Pairs, run: tuple) -> tuple | None:
    """The next seed of a trained run; None without one."""
    seeds = sorted(
        (k for d, s, k in pairs.rows if (d, s) == run[:2] and k not in (UNTRAINED, run[2])), key=int
    )
    return (*run[:2], seeds[0]) if seeds and run[2] != UNTRAINED else None


def _match_rows(pairs: Pairs, a: tuple, b: tuple, sign: int) -> Iterator[tuple]:
    blocks = {name: pairs.block(a, b, name) for name in NUMBERS}
    layers_a = pairs.layers(a)
    layers_b = pairs.layers(b)
    depths_a = depths(len(layers_a))
    depths_b = depths(len(layers_b))
    for i, layer in enumerate(layers_a):
        score = np.where(np.isnan(blocks["value"][i]), -np.inf, sign * blocks["value"][i])
        chosen = {
            "best": int(score.argmax()),
            "equal_depth": int(np.abs(depths_b - depths_a[i]).argmin()),
        }
        for choice, j in chosen.items():
            numbers = (blocks[name][i, j] for name in NUMBERS)
            yield (
                a[1],
                a[2],
                layer,
                depths_a[i],
                b[1],
                b[2],
                choice,
                layers_b[j],
                depths_b[j],
                *numbers,
            )


def version_rows(table: pd.DataFrame, dataset: str, systems: list[str]) -> pd.DataFrame:
    """Layer by layer, runs of one system against each other on the same clips.

    Returns:
        One row a system, pair of runs and layer; columns ``VERSION_COLUMNS``. ``relation``:
        "versions" (trained on two data sets from the same initial weights), "versions_other_seed"
        (from other ones), "retraining" (the same data set, two seeds: what chance in training
        leaves alike), "untrained" (a run and its untrained twin: what the initial weights bring).
    """
    pairs = Pairs(table)
    rows = []
    for system in systems:
        runs = [run for run in pairs.rows if run[1] == system]
        for a, b in combinations(runs, 2):
            layers = pairs.layers(a)
            diagonals = [np.diag(pairs.block(a, b, name)) for name in NUMBERS]
            kept = zip(layers, depths(len(layers)), *diagonals, strict=True)
            rows += [(system, relation(a, b), a[0], a[2], b[0], b[2], *line) for line in kept]
    return pd.DataFrame(rows, columns=VERSION_COLUMNS)


def relation(a: tuple, b: tuple) -> str:
    """How two runs of one system differ, see ``version_rows``."""
    if UNTRAINED in (a[2], b[2]):
        return "untrained"
    if a[0] == b[0]:
        return "retraining"
    return "versions" if a[2] == b[2] else "versions_other_seed"
