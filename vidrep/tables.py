"""Long tables from the small files of all runs: one row per observation."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vidrep.datasets.store import open_clips
from vidrep.readouts import EXACT_SET_MAP, MEAN_AVERAGE_PRECISION, mean_average_precision
from vidrep.result_tables import KEYS
from vidrep.runs import UNTRAINED


def collect(parts: Sequence[str], keys: Sequence[str] = KEYS) -> pd.DataFrame:
    """Concatenate tables of runs, with what their places tell of the runs in the first columns.

    Args:
        parts: ``<evaluated on>/<trained on>--<system>--seed<seed>.*csv``.
        keys: which of ``KEYS`` become columns, in this order.

    Raises:
        ValueError: a file that is not called so.
    """
    tables = []
    for part in map(Path, parts):
        table = pd.read_csv(part)
        told = _keys_of(part)
        for position, key in enumerate(keys):
            table.insert(position, key, told[key])
        tables.append(table)
    return pd.concat([table for table in tables if len(table)], ignore_index=True)


def _keys_of(part: Path) -> dict[str, str]:
    """What the place of a file tells of its run."""
    stem, _, _ = part.name.partition(".")
    pieces = stem.split("--")
    if len(pieces) != 3 or not pieces[2].startswith("seed"):
        raise ValueError(f"{part}: must be called <trained on>--<system>--seed<seed>.csv")
    trained_on, system, seed = pieces
    return {
        "system": system,
        "trained_on": trained_on,
        "evaluated_on": part.parent.name,
        "seed": seed.removeprefix("seed"),
    }


def join(parts: Sequence[str]) -> pd.DataFrame:
    """Concatenate tables that carry their keys; whole numbers stay whole."""
    tables = [pd.read_csv(part, dtype={"seed": str}) for part in parts]
    filled = [table for table in tables if len(table)] or tables[:1]
    whole_numbers = {}
    for name in filled[0]:
        if any(pd.api.types.is_integer_dtype(table[name]) for table in filled):
            whole_numbers[name] = "Int64"
    return pd.concat([table.astype(whole_numbers) for table in filled], ignore_index=True)


def balanced_accuracies(counts: pd.DataFrame) -> pd.DataFrame:
    """The table of probes behind that of their confusion counts.

    Args:
        counts: columns that name a probe, then truth and predicted (0 or 1) and count.

    Returns:
        One row a probe, in the order of ``counts``: the naming columns, metric, value in [0, 1] and
        chance. The value is the mean of the shares that are right where the class occurs and where
        it does not; NaN where either was not tried.
    """
    names = list(counts.columns[: counts.columns.get_loc("truth")])
    right = counts["count"].where(counts["truth"] == counts["predicted"], 0)
    by_truth = counts.assign(right=right).groupby([*names, "truth"], sort=False)
    sides = by_truth[["right", "count"]].sum()
    recalls = (sides["right"] / sides["count"]).groupby(level=names, sort=False)
    balanced = recalls.sum(min_count=2) / 2
    table = balanced.rename("value").reset_index()
    table["metric"] = "balanced_accuracy"
    table["chance"] = 0.5
    return table[[*names, "metric", "value", "chance"]]


def majority_set(train_file: str, test_file: str) -> list[dict]:
    """What is scored by always giving the most frequent label set of the training clips.

    Answers that are the same for all clips have a mean average precision too: the mean share of
    clips that show a class.

    Returns:
        Rows of the accuracy table.
    """
    with open_clips(train_file) as train, open_clips(test_file) as test:
        sets, counts = np.unique(train.labels, axis=0, return_counts=True)
        commonest = sets[counts.argmax()]
        labels = test.labels[:]
        multi_label = bool(test.attrs["multi_label"])
        name = test.attrs["dataset"]
    share = float((labels == commonest).all(1).mean())
    constant = np.zeros(labels.shape)
    values = {
        "exact_set": share,
        MEAN_AVERAGE_PRECISION: mean_average_precision(constant, labels),
    }
    if multi_label:
        values[EXACT_SET_MAP] = share
    keys = {
        "system": "majority_set",
        "trained_on": name,
        "evaluated_on": name,
        "seed": UNTRAINED,
        "split": "test",
    }
    return [{**keys, "metric": metric, "value": value} for metric, value in values.items()]


def convergence(records: Sequence[str]) -> pd.DataFrame:
    """Which trained runs had stopped getting better, see ``vidrep.training.convergence``.

    Args:
        records: ``.../<trained on>/<system>/seed<seed>/run.json``.

    Returns:
        Columns system, trained_on, seed, converged: yes, no or unknown.
    """
    words = {True: "yes", False: "no", None: "unknown"}
    rows = []
    for path in map(Path, records):
        trained_on, system, seed = path.parts[-4:-1]
        found = json.loads(path.read_text())["converged"]
        rows.append((system, trained_on, seed.removeprefix("seed"), words[found]))
    return pd.DataFrame(rows, columns=["system", "trained_on", "seed", "converged"], dtype=str)


FLOW_NAMES = {"true": "exact", "true_box": "exact_box"}  # what tables call flow, if not as it is


def flows(records: Sequence[str]) -> pd.DataFrame:
    """Which flow systems are fed.

    Args:
        records: ``run.json`` of runs.

    Returns:
        Columns system, flow: exact, exact_box (of squares in place of the digits), or an estimator;
        systems without flow are left out.
    """
    found = {}
    for path in records:
        system = json.loads(Path(path).read_text())["system"]
        if system["flow"]:
            found[system["name"]] = FLOW_NAMES.get(system["flow"], system["flow"])
    return pd.DataFrame(found.items(), columns=["system", "flow"], dtype=str)


def cost(records: Sequence[str]) -> pd.DataFrame:
    """What each system costs, medians over its runs, and which flow it is fed."""
    whole_numbers = ["parameters", "macs_per_clip", "peak_bytes"]
    columns = [
        "parameters",
        "macs_per_clip",
        "train_clips_per_s",
        "infer_clips_per_s",
        "peak_bytes",
    ]
    rows = []
    for path in records:
        record = json.loads(Path(path).read_text())
        numbers = {name: record[name] for name in columns}
        rows.append({"system": record["system"]["name"], **numbers})
    by_system = pd.DataFrame(rows).groupby("system", sort=True)
    medians = by_system[columns].median().reset_index()
    medians = medians.astype(dict.fromkeys(whole_numbers, "int64"))
    return medians.merge(flows(records), "left", "system")
