"""Long tables from the small files of all runs: one row per observation, same bytes for the same
results.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from vidrep.datasets.store import open_clips
from vidrep.runs import UNTRAINED

KEYS = ["system", "trained_on", "evaluated_on", "seed"]


def collect(parts: list[str]) -> pd.DataFrame:
    """Rows of all ``<evaluated_on>/<trained_on>--<system>--seed<seed>.*csv``, the names put into
    the first columns.

    Raises:
        ValueError: a file that is not called so.
    """
    tables = []
    for part in map(Path, parts):
        pieces = part.name.split(".", 1)[0].split("--")
        if len(pieces) != 3 or not pieces[2].startswith("seed"):
            raise ValueError(f"{part}: must be called <trained on>--<system>--seed<seed>.csv")
        values = (pieces[1], pieces[0], part.parent.name, pieces[2].removeprefix("seed"))
        table = pd.read_csv(part)
        for position, (key, value) in enumerate(zip(KEYS, values, strict=True)):
            table.insert(position, key, value)
        tables.append(table)
    return pd.concat([table for table in tables if len(table)], ignore_index=True)


def join(parts: list[str]) -> pd.DataFrame:
    """Rows of all of these tables, which share their columns and say themselves what they belong
    to; whole numbers stay whole.
    """
    tables = [pd.read_csv(part, dtype={"seed": str}) for part in parts]
    filled = [table for table in tables if len(table)] or tables[:1]
    whole_numbers = [
        name
        for name in filled[0]
        if any(pd.api.types.is_integer_dtype(table[name]) for table in filled)
    ]
    return pd.concat(
        [table.astype(dict.fromkeys(whole_numbers, "Int64")) for table in filled], ignore_index=True
    )


def balanced_accuracies(counts: pd.DataFrame) -> pd.DataFrame:
    """The table of probes behind that of their confusion counts.

    Args:
        counts: columns that name a probe, then truth and predicted (0 or 1) and count.

    Returns:
        One row a probe, in the order of ``counts``: the naming columns, metric, value in [0, 1] and
            chance. The value is the mean
        of the shares that are right where the class occurs and where not; NaN where either was not
        tried.
    """
    names = list(counts.columns[: counts.columns.get_loc("truth")])
    right = counts["count"].where(counts["truth"] == counts["predicted"], 0)
    sides = (
        counts.assign(right=right).groupby([*names, "truth"], sort=False)[["right", "count"]].sum()
    )
    recalls = (sides["right"] / sides["count"]).groupby(level=names, sort=False)
    return (
        (recalls.sum(min_count=2) / 2)
        .rename("value")
        .reset_index()
        .assign(metric="balanced_accuracy", chance=0.5)[[*names, "metric", "value", "chance"]]
    )


def majority_set(train_file: str, test_file: str) -> dict:
    """A row of the accuracy table: the exact-set accuracy of always answering the training split's
    most frequent label set.
    """
    with open_clips(train_file) as train, open_clips(test_file) as test:
        sets, counts = np.unique(train.labels, axis=0, return_counts=True)
        share = float((test.labels == sets[counts.argmax()]).all(1).mean())
        name = test.attrs["dataset"]
    names = dict(zip(KEYS, ("majority_set", name, name, UNTRAINED), strict=True))
    return {**names, "split": "test", "metric": "exact_set", "value": share}


def cost(records: list[str]) -> pd.DataFrame:
    """Parameters, multiply-adds, speed and memory of each system: medians over its runs."""
    columns = [
        "parameters",
        "macs_per_clip",
        "train_clips_per_s",
        "infer_clips_per_s",
        "peak_bytes",
    ]
    loaded = [json.loads(Path(record).read_text()) for record in records]
    rows = [
        {"system": record["system"]["name"], **{name: record[name] for name in columns}}
        for record in loaded
    ]
    medians = pd.DataFrame(rows).groupby("system", sort=True)[columns].median().reset_index()
    whole_numbers = ["parameters", "macs_per_clip", "peak_bytes"]
    return medians.astype(dict.fromkeys(whole_numbers, "int64"))
