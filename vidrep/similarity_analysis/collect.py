"""From the similarity tables of all evaluation sets to the tables of what they mean."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vidrep.random_streams import stream
from vidrep.result_tables import only_layer_last, read_table, representations, square
from vidrep.runs import UNTRAINED
from vidrep.similarity_analysis import agreement, layers, shares
from vidrep.similarity_analysis.distances import as_distances, defined

PERMUTATIONS = 999
KEYS = ("evaluated_on", "measure")
_DIGITS = 8  # decimals: single-precision kernels support no more
NEEDED = ("rep_a", "rep_b", "value", "ci_low", "ci_high")


def collect(
    paths: Sequence[Path], factors: Mapping[str, Mapping[str, str]], layer_measure: str, seed: int
) -> dict[str, pd.DataFrame]:
    """The tables ``TABLES`` by name.

    Args:
        paths: similarity tables, <evaluation set>/<measure>.csv.
        factors: system -> its properties by name, in the order of the experiment; others, such as
            external activations, are left out.
        layer_measure: the measure by which layers are matched.
        seed: of the experiment.
    """
    names = list(next(iter(factors.values())))
    systems = list(factors)
    parts: dict[str, list[pd.DataFrame]] = {
        name: [] for name in ("variance_shares", "layer_matches", "versions")
    }
    by_measure: dict[str, dict] = {}
    for path in paths:
        dataset = path.parent.name
        measure = path.stem
        table = read_table(path, NEEDED)[list(NEEDED)]
        runs, values = trained_embeddings(table)
        known = runs["system"].isin(systems).to_numpy()
        runs = runs[known].reset_index(drop=True)
        values = values[np.ix_(known, known)]
        runs = runs.join(pd.DataFrame(factors).T, on="system")
        draws = {
            "permutations": PERMUTATIONS,
            "rng": stream(seed, "structure", "shares", dataset, measure),
        }
        explained = shares.variance_shares(
            as_distances(values, measure), runs, [*names, shares.DATA], **draws
        )
        parts["variance_shares"].append(_marked(explained, dataset, measure))
        chosen = first_seeds_of_cells(runs)
        by_measure.setdefault(measure, {})[dataset] = runs.iloc[chosen], values[chosen][:, chosen]
        if measure == layer_measure:
            parts["layer_matches"].append(
                _marked(layers.layer_matches(table, dataset, measure, systems), dataset, measure)
            )
            parts["versions"].append(
                _marked(layers.version_rows(table, dataset, systems), dataset, measure)
            )
    agreements = []
    for measure, matrices in by_measure.items():
        found = agreement.rank_agreements(
            matrices, permutations=PERMUTATIONS, rng=stream(seed, "structure", "agreement", measure)
        )
        found.insert(0, "measure", measure)
        agreements.append(found)
    joined = {
        name: pd.concat(tables, ignore_index=True)
        for name, tables in (*parts.items(), ("agreement", agreements))
    }
    return {name: table.round(_DIGITS) for name, table in joined.items()}


def trained_embeddings(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The trained runs of a similarity table (columns system, trained_on, seed) and the values (R,
    R) of their embeddings.

    Runs without values, such as those whose embedding is the same for all clips, are left out.
    """
    reps = only_layer_last(representations(table), ["run"])
    reps = reps[reps["seed"] != UNTRAINED].rename(columns={"dataset": "trained_on"})
    values = square(table, reps["rep"])
    kept = defined(values)
    return (
        reps[["system", "trained_on", "seed"]].iloc[kept].reset_index(drop=True),
        values[np.ix_(kept, kept)],
    )


def first_seeds_of_cells(runs: pd.DataFrame) -> list[int]:
    """Positions of the run with the lowest seed of each system and data set."""
    return sorted(
        runs["seed"].astype(int).groupby([runs["system"], runs["trained_on"]], sort=False).idxmin()
    )


def _marked(table: pd.DataFrame, dataset: str, measure: str) -> pd.DataFrame:
    """A table whose first columns say the evaluation set and the measure."""
    for position, (key, value) in enumerate(zip(KEYS, (dataset, measure), strict=True)):
        table.insert(position, key, value)
    return table
