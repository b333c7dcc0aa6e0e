"""Tables of results: how they are read and written, and what is often asked of them.

Every table is CSV in long form, one row an observation, with line feeds as line ends; a value that
is not there is an empty cell. The same results give the same bytes, and a file appears whole or not
at all.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidrep.files import whole

if TYPE_CHECKING:
    import pandas as pd  # slow to import, and most jobs only write rows


KEYS = ["system", "trained_on", "evaluated_on", "seed"]  # of a row of most tables


def read_table(path: str | Path, columns: Iterable[str]) -> pd.DataFrame:
    """A long table; seeds stay text, because that of an untrained baseline is "untrained".

    Raises:
        ValueError: the file lacks one of ``columns``.
    """
    import pandas as pd

    table = pd.read_csv(path, dtype={"seed": str})
    if missing := [name for name in columns if name not in table.columns]:
        raise ValueError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(table.columns)}"
        )
    return table


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a frame without its index; numbers keep all their digits."""
    with whole(path) as beside:
        table.to_csv(beside, index=False, lineterminator="\n")


def write_rows(
    path: str | os.PathLike, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write rows under a header."""
    with whole(path) as beside, open(beside, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def number(value: float) -> str:
    """The cell of a number that comes from kernels in single precision: eight significant digits.

    NaN becomes an empty cell, and -0 becomes 0.
    """
    return "" if math.isnan(value) else f"{float(value) + 0.0:.8g}"


def representations(table: pd.DataFrame) -> pd.DataFrame:
    """The representations of a similarity table in its order.

    Returns:
        Columns rep, dataset, system, seed, layer, run.
    """
    import pandas as pd

    both_sides = pd.concat([table["rep_a"], table["rep_b"]])
    reps = pd.Series(pd.unique(both_sides), name="rep")
    parts = reps.str.split("/", n=3, expand=True)
    parts.columns = ["dataset", "system", "seed", "layer"]
    parts["seed"] = parts["seed"].str.removeprefix("seed")
    run = parts["dataset"] + "/" + parts["system"] + "/" + parts["seed"]
    return pd.concat([reps, parts], axis=1).assign(run=run)


def square(table: pd.DataFrame, reps: Iterable[str]) -> np.ndarray:
    """The values of a similarity table among ``reps`` as a matrix; NaN where a pair is not listed.

    A pair listed once counts for both orders.
    """
    place = {rep: i for i, rep in enumerate(reps)}
    first = table["rep_a"].map(place)
    second = table["rep_b"].map(place)
    known = first.notna() & second.notna()
    i = first[known].astype(int).to_numpy()
    j = second[known].astype(int).to_numpy()
    values = table.loc[known, "value"].to_numpy(float)
    matrix = np.full((len(place), len(place)), np.nan)
    matrix[j, i] = values
    matrix[i, j] = values
    return matrix


def only_layer_last(table: pd.DataFrame, run: list[str]) -> pd.DataFrame:
    """The rows of the last layer of each run, which is its embedding.

    Args:
        table: layers in depth order.
        run: columns that name a run.
    """
    return table[table["layer"] == table.groupby(run)["layer"].transform("last")]


def first_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each system's first trained seed, or of its untrained baseline without any."""
    import pandas as pd

    rank = pd.to_numeric(table["seed"], errors="coerce").fillna(np.inf)
    first = rank.groupby(table["system"]).transform("min")
    return table[rank == first]
