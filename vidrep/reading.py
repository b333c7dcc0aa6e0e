"""Reading the experiment's long tables, and what is often asked of them."""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd


def read_table(path: str | Path, columns: Iterable[str]) -> pd.DataFrame:
    """A long table; seeds stay text, because a twin's seed is "untrained".

    Raises:
        ValueError: the file lacks one of ``columns``.
    """
    table = pd.read_csv(path, dtype={"seed": str})
    if missing := [name for name in columns if name not in table.columns]:
        raise ValueError(
            f"{path}: no column {', '.join(missing)}; it has {', '.join(table.columns)}"
        )
    return table


def clip_counts(paths: Iterable[str | Path]) -> dict[str, int]:
    """Number of clips in each data set file: data set to n."""
    counts = {}
    for path in map(Path, paths):
        with h5py.File(path, "r") as file:
            counts[path.parent.name] = len(file["labels"])
    return counts


def representations(table: pd.DataFrame) -> pd.DataFrame:
    """The representations of a similarity table in its order: rep, dataset, system, seed, layer,
    run.
    """
    reps = pd.Series(pd.unique(pd.concat([table["rep_a"], table["rep_b"]])), name="rep")
    parts = reps.str.split("/", n=3, expand=True).set_axis(
        ["dataset", "system", "seed", "layer"], axis=1
    )
    parts["seed"] = parts["seed"].str.removeprefix("seed")
    run = parts["dataset"] + "/" + parts["system"] + "/" + parts["seed"]
    return pd.concat([reps, parts], axis=1).assign(run=run)


def square(table: pd.DataFrame, reps: Iterable[str]) -> np.ndarray:
    """The values of a similarity table among ``reps`` as a matrix; NaN where a pair is not listed.

    A pair listed once counts for both orders.
    """
    place = {rep: i for i, rep in enumerate(reps)}
    matrix = np.full((len(place), len(place)), np.nan)
    rows = table["rep_a"].map(place), table["rep_b"].map(place)
    known = rows[0].notna() & rows[1].notna()
    i, j = (index[known].astype(int).to_numpy() for index in rows)
    matrix[j, i] = values = table.loc[known, "value"].to_numpy(float)
    matrix[i, j] = values
    return matrix


def only_layer_last(table: pd.DataFrame, run: list[str]) -> pd.DataFrame:
    """Of each run (columns ``run``) the rows of its last layer: layers stand in depth order, the
    last one is the embedding.
    """
    return table[table["layer"] == table.groupby(run)["layer"].transform("last")]


def first_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Of each system the rows of its first trained seed, or of its untrained twin where it was
    never trained.
    """
    ranked = table.assign(rank=pd.to_numeric(table["seed"], errors="coerce").fillna(np.inf))
    return table[ranked["rank"] == ranked.groupby("system")["rank"].transform("min")]
