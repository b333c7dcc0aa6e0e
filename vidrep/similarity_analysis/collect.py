"""From the similarity tables of all evaluation sets to the tables of what they mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vidrep.random_streams import stream
from vidrep.result_tables import only_layer_last, read_table, representations, square
from vidrep.runs import UNTRAINED
from vidrep.similarity_analysis import agreement, layers, shares
from vidrep.similarity_analysis.distances import as_distances, defined

PERMUTATIONS = 999
DECIMALS = 8  # single-precision kernels support no more
KEYS = ("evaluated_on", "measure")
NEEDED = ["rep_a", "rep_b", "value", "ci_low", "ci_high"]


@dataclass(frozen=True)
class Source:
    """One similarity table.

    Attributes:
        dataset: the evaluation set.
        measure: its measure.
        table: its rows, columns ``NEEDED``.
    """

    dataset: str
    measure: str
    table: pd.DataFrame


# runs (columns system, trained_on, ...) and the values (R, R) of their embeddings
Embeddings = tuple[pd.DataFrame, np.ndarray]


def collect(
    paths: Sequence[Path],
    factors: Mapping[str, Mapping[str, str]],
    layer_measure: str,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """The tables ``TABLES`` by name.

    Args:
        paths: similarity tables, <evaluation set>/<measure>.csv.
        factors: system -> its properties by name, in the order of the experiment; others, such as
            external activations, are left out.
        layer_measure: the measure by which layers are matched.
        seed: of the experiment.
    """
    systems = list(factors)
    variance_shares = []
    matches = []
    versions = []
    matrices: dict[str, dict[str, Embeddings]] = {}  # by measure and evaluation set
    for source in map(read_source, paths):
        runs, values = known_embeddings(source.table, factors)
        variance_shares.append(shares_of(source, runs, values, factors, seed))
        chosen = first_seeds_of_cells(runs)
        of_cells = (runs.iloc[chosen], values[np.ix_(chosen, chosen)])
        matrices.setdefault(source.measure, {})[source.dataset] = of_cells
        if source.measure == layer_measure:
            matched = layers.layer_matches(source.table, source.dataset, source.measure, systems)
            matches.append(_marked(matched, source))
            versions.append(_marked(layers.version_rows(source.table, systems), source))
    agreements = [agreement_of(measure, sets, seed) for measure, sets in matrices.items()]
    tables = {
        "variance_shares": variance_shares,
        "layer_matches": matches,
        "versions": versions,
        "agreement": agreements,
    }
    return {
        name: pd.concat(parts, ignore_index=True).round(DECIMALS) for name, parts in tables.items()
    }


def read_source(path: Path) -> Source:
    """A similarity table, its evaluation set and measure told by its path."""
    table = read_table(path, NEEDED)[NEEDED]
    return Source(path.parent.name, path.stem, table)


def known_embeddings(
    table: pd.DataFrame, factors: Mapping[str, Mapping[str, str]]
) -> tuple[pd.DataFrame, np.ndarray]:
    """``trained_embeddings`` of the systems of ``factors``, these as further columns."""
    runs, values = trained_embeddings(table)
    known = runs["system"].isin(list(factors)).to_numpy()
    properties = pd.DataFrame(factors).T
    runs = runs[known].reset_index(drop=True).join(properties, on="system")
    return runs, values[np.ix_(known, known)]


def trained_embeddings(table: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The trained runs of a similarity table and the values (R, R) of their embeddings.

    Runs without values, such as those whose embedding is the same for all clips, are left out.

    Returns:
        Columns system, trained_on, seed; and the values.
    """
    reps = only_layer_last(representations(table), ["run"])
    reps = reps[reps["seed"] != UNTRAINED].rename(columns={"dataset": "trained_on"})
    values = square(table, reps["rep"])
    kept = defined(values)
    runs = reps[["system", "trained_on", "seed"]].iloc[kept].reset_index(drop=True)
    return runs, values[np.ix_(kept, kept)]


def shares_of(
    source: Source,
    runs: pd.DataFrame,
    values: np.ndarray,
    factors: Mapping[str, Mapping[str, str]],
    seed: int,
) -> pd.DataFrame:
    """Rows of ``variance_shares`` from one similarity table."""
    properties = list(next(iter(factors.values())))
    explained = shares.variance_shares(
        as_distances(values, source.measure),
        runs,
        [*properties, shares.DATA],
        permutations=PERMUTATIONS,
        rng=stream(seed, "structure", "shares", source.dataset, source.measure),
    )
    return _marked(explained, source)


def agreement_of(measure: str, matrices: Mapping[str, Embeddings], seed: int) -> pd.DataFrame:
    """Rows of ``agreement`` from the values of one measure on all evaluation sets."""
    rng = stream(seed, "structure", "agreement", measure)
    found = agreement.rank_agreements(matrices, permutations=PERMUTATIONS, rng=rng)
    found.insert(0, "measure", measure)
    return found


def first_seeds_of_cells(runs: pd.DataFrame) -> list[int]:
    """Positions of the run with the lowest seed of each system and data set."""
    seeds = runs["seed"].astype(int)
    cells = seeds.groupby([runs["system"], runs["trained_on"]], sort=False)
    return sorted(cells.idxmin())


def _marked(table: pd.DataFrame, source: Source) -> pd.DataFrame:
    """A table whose first columns say the evaluation set and the measure, ``KEYS``."""
    table.insert(0, "evaluated_on", source.dataset)
    table.insert(1, "measure", source.measure)
    return table
