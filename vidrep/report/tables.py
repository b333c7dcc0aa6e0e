"""Reading the experiment's long tables for figures."""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

ACCURACIES = ("exact_set", "top1")  # what "accuracy" means: many labels a clip, or one
FLOOR = "majority_set"
_Z = 1.959964  # two-sided 95 %


def read_table(path: str | Path, columns: Iterable[str]) -> pd.DataFrame:
    """A long table; seeds stay text, because a twin's seed is "untrained".

    Raises:
        ValueError: the file lacks one of ``columns``.
    """
    table = pd.read_csv(path, dtype={"seed": str})
    if missing := [name for name in columns if name not in table.columns]:
        raise ValueError(f"{path}: no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    return table


def read_histories(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Learning curves of several runs in one table; data set, system and seed come from the place of each file."""
    tables = []
    for path in map(Path, paths):
        dataset, system, seed = path.parts[-4:-1]
        table = read_table(path, ("epoch", "split", "metric", "value"))
        tables.append(table.assign(dataset=dataset, system=system, seed=seed.removeprefix("seed")))
    return pd.concat(tables, ignore_index=True)


def clip_counts(paths: Iterable[str | Path]) -> dict[str, int]:
    """Number of clips in each data set file: data set to n."""
    counts = {}
    for path in map(Path, paths):
        with h5py.File(path, "r") as file:
            counts[path.parent.name] = len(file["labels"])
    return counts


def wilson(share: np.ndarray | float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of a share out of ``n``: low, high.

    Reference: Wilson, JASA 22 (1927).
    """
    share = np.asarray(share, float)
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return centre - half, centre + half


def accuracy_rows(table: pd.DataFrame, split: str = "test") -> pd.DataFrame:
    """The rows of accuracy.csv that are accuracies on ``split``.

    A column ``variant`` is added: "", or what follows the metric's name, such as "spatial" for one of two streams.
    """
    rows = table[table["split"] == split]
    pattern = rf"^(?:{'|'.join(ACCURACIES)})(?:_(?P<variant>\w+))?$"
    matched = rows["metric"].str.match(pattern)
    variants = rows["metric"].str.extract(pattern)["variant"].fillna("")
    return rows[matched].assign(variant=variants[matched])


def result_lines(rows: pd.DataFrame, systems: Iterable[str]) -> list[tuple[str, str]]:
    """Each (system, variant) that ``rows`` has a result of, in the order of ``systems``."""
    return list(
        dict.fromkeys((system, variant) for system in systems for variant in rows.loc[rows["system"] == system, "variant"])
    )


def line_name(line: tuple[str, str]) -> str:
    """A (system, variant) as it is written beside its results."""
    return " · ".join(filter(None, line))


def sizes(clips: dict[str, int]) -> str:
    """Clip counts of data sets in words: one number if all are the same."""
    if len(set(clips.values())) == 1:
        return f"{next(iter(clips.values())):,} each"
    return ", ".join(f"{name} {n:,}" for name, n in clips.items())


def representations(table: pd.DataFrame) -> pd.DataFrame:
    """The representations of a similarity table in its order: rep, dataset, system, seed, layer, run."""
    reps = pd.Series(pd.unique(pd.concat([table["rep_a"], table["rep_b"]])), name="rep")
    parts = reps.str.split("/", n=3, expand=True).set_axis(["dataset", "system", "seed", "layer"], axis=1)
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
    """Of each run (columns ``run``) the rows of its last layer: layers stand in depth order, the last one is the embedding."""
    return table[table["layer"] == table.groupby(run)["layer"].transform("last")]


def first_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Of each system the rows of its first trained seed, or of its untrained twin where it was never trained."""
    ranked = table.assign(rank=pd.to_numeric(table["seed"], errors="coerce").fillna(np.inf))
    return table[ranked["rank"] == ranked.groupby("system")["rank"].transform("min")]


def probed_clips(confusion: pd.DataFrame, dataset: str) -> int:
    """Test clips that the probes on one evaluation set are scored on."""
    rows = confusion[confusion["evaluated_on"] == dataset]
    return int(rows.groupby(["system", "trained_on", "seed", "layer", "factor"])["count"].sum().max())


def flow_errors(paths: Iterable[str | Path], dataset: str, split: str) -> dict[str, float]:
    """Mean end-point error in pixels of each flow method on one split, from the tables that tell it."""
    errors = {}
    for path in paths:
        table = read_table(path, ("dataset", "split", "method", "epe_px"))
        rows = table[(table["dataset"] == dataset) & (table["split"] == split)]
        errors |= dict(zip(rows["method"], rows["epe_px"], strict=True))
    return errors
