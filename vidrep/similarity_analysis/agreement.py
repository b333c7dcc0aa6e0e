"""Do systems relate to each other on one evaluation set as they do on another?"""

from itertools import combinations

import numpy as np
import pandas as pd

from vidrep.similarity_analysis.exchange import exchanged, permuted_sums
from vidrep.statistics import centred_ranks, jackknife_error, jackknife_margin, permutation_p

AGREEMENT_COLUMNS = (
    "runs",
    "set_a",
    "set_b",
    "spearman",
    "ci_low",
    "ci_high",
    "p",
    "systems",
    "pairs",
)
FEWEST = 4  # systems: three have three pairs, whose order says nothing


def rank_agreements(
    matrices: dict[str, tuple[pd.DataFrame, np.ndarray]],
    *,
    permutations: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Spearman's correlation between the similarity matrices of every two evaluation sets.

    Args:
        matrices: evaluation set -> runs (columns system, trained_on), one of each, and the values
            (R, R) among them, all defined.
        permutations: draws for the p values.
        rng: draws them.

    Returns:
        One row a pair of sets and choice of runs. ``runs`` "same": the very same networks, seen
        with other clips; "own": for each set the networks trained on it. The interval is that of a
        jackknife over systems, as pairs that share a system are no independent witnesses; ``p`` is
        one-sided, systems changing places as wholes (Mantel 1967, Cancer Research 27:209).
    """
    rows = []
    for a, b in combinations(matrices, 2):
        for runs, labels in (("same", ["system", "trained_on"]), ("own", ["system"])):
            left, right = (
                matrices[name] if runs == "same" else _own(*matrices[name], name) for name in (a, b)
            )
            frame, x, y = _common(left, right, labels)
            if frame["system"].nunique() >= FEWEST:
                rows.append((runs, a, b, *_agreement(frame, x, y, permutations, rng)))
    return pd.DataFrame(rows, columns=AGREEMENT_COLUMNS)


def _own(runs: pd.DataFrame, values: np.ndarray, dataset: str) -> tuple[pd.DataFrame, np.ndarray]:
    rows = np.flatnonzero(runs["trained_on"] == dataset)
    return runs.iloc[rows], values[np.ix_(rows, rows)]


def _common(
    left: tuple, right: tuple, labels: list[str]
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The runs that both sides have under the same labels, and their values on both."""
    places = [
        {key: i for i, key in enumerate(runs[labels].itertuples(index=False, name=None))}
        for runs, _ in (left, right)
    ]
    shared = [key for key in places[0] if key in places[1]]
    i, j = ([place[key] for key in shared] for place in places)
    return left[0].iloc[i].reset_index(drop=True), left[1][np.ix_(i, i)], right[1][np.ix_(j, j)]


def _agreement(
    frame: pd.DataFrame, x: np.ndarray, y: np.ndarray, permutations: int, rng: np.random.Generator
) -> tuple:
    """Spearman's correlation, its interval and p value, and the numbers of systems and pairs."""
    blocks = [
        rows[np.argsort(frame["trained_on"].to_numpy()[rows])]
        for rows in frame.groupby("system", sort=False).indices.values()
    ]
    value = spearman(x, y)
    count = len(blocks)
    left_out = []
    for block in blocks:
        rest = np.setdiff1d(np.arange(len(frame)), block)
        left_out.append(spearman(x[np.ix_(rest, rest)], y[np.ix_(rest, rest)]))
    margin = jackknife_margin(jackknife_error(np.array(left_out)), count)
    kinds = [tuple(frame["trained_on"].iloc[block]) for block in blocks]
    orders = exchanged(len(frame), blocks, kinds, permutations, rng)
    drawn = permuted_sums(standard_ranks(x), standard_ranks(y), orders) / 2
    p = permutation_p(value, drawn)
    return (
        value,
        max(value - margin, -1),
        min(value + margin, 1),
        p,
        count,
        len(frame) * (len(frame) - 1) // 2,
    )


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation of the entries above the diagonals of two symmetric matrices; NaN where one
    of them is flat.
    """
    return float(np.sum(standard_ranks(x) * standard_ranks(y)) / 2)


def standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of the entries above the diagonal, centred, of norm 1, on both sides of a zero
    diagonal; NaN where all are equal.
    """
    above = np.triu_indices(len(values), 1)
    ranks = centred_ranks(values[above])
    result = np.zeros(values.shape)
    with np.errstate(invalid="ignore"):
        result[above] = ranks / np.sqrt(ranks @ ranks)
    return result + result.T
