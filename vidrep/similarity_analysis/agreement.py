"""Do systems relate to each other on one evaluation set as they do on another?"""

from collections.abc import Mapping
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
# runs (columns system, trained_on) and the values (R, R) among them
Values = tuple[pd.DataFrame, np.ndarray]


def rank_agreements(
    matrices: Mapping[str, Values], *, permutations: int, rng: np.random.Generator
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
        same = _common(matrices[a], matrices[b], ["system", "trained_on"])
        own = _common(_own(matrices[a], a), _own(matrices[b], b), ["system"])
        for runs, (frame, x, y) in (("same", same), ("own", own)):
            if frame["system"].nunique() >= FEWEST:
                rows.append((runs, a, b, *_agreement(frame, x, y, permutations, rng)))
    return pd.DataFrame(rows, columns=AGREEMENT_COLUMNS)


def _own(side: Values, dataset: str) -> Values:
    """Those of the runs that were trained on a data set."""
    runs, values = side
    rows = np.flatnonzero(runs["trained_on"] == dataset)
    among = np.ix_(rows, rows)
    return runs.iloc[rows], values[among]


def _common(
    left: Values, right: Values, labels: list[str]
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The runs that both sides have under the same labels, and their values on both."""
    left_runs, left_values = left
    right_runs, right_values = right
    left_places = _places(left_runs[labels])
    right_places = _places(right_runs[labels])
    shared = [key for key in left_places if key in right_places]
    i = [left_places[key] for key in shared]
    j = [right_places[key] for key in shared]
    runs = left_runs.iloc[i].reset_index(drop=True)
    x = left_values[np.ix_(i, i)]
    y = right_values[np.ix_(j, j)]
    return runs, x, y


def _places(labels: pd.DataFrame) -> dict[tuple, int]:
    """Rows of a frame by their content."""
    return {key: i for i, key in enumerate(labels.itertuples(index=False, name=None))}


def _agreement(
    frame: pd.DataFrame,
    x: np.ndarray,
    y: np.ndarray,
    permutations: int,
    rng: np.random.Generator,
) -> tuple:
    """Spearman's correlation, its interval and p value, and the numbers of systems and pairs."""
    data = frame["trained_on"].to_numpy()
    own = frame.groupby("system", sort=False).indices.values()
    blocks = [rows[np.argsort(data[rows])] for rows in own]
    value = spearman(x, y)
    left_out = []
    for block in blocks:
        rest = np.setdiff1d(np.arange(len(frame)), block)
        among = np.ix_(rest, rest)
        left_out.append(spearman(x[among], y[among]))
    error = jackknife_error(np.array(left_out))
    margin = jackknife_margin(error, len(blocks))
    kinds = [tuple(data[block]) for block in blocks]
    orders = exchanged(len(frame), blocks, kinds, permutations, rng)
    sums = permuted_sums(standard_ranks(x), standard_ranks(y), orders)
    p = permutation_p(value, sums / 2)
    pairs = len(frame) * (len(frame) - 1) // 2
    low = max(value - margin, -1)
    high = min(value + margin, 1)
    return value, low, high, p, len(blocks), pairs


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation of the entries above the diagonals of two symmetric matrices.

    NaN where one of them is flat.
    """
    both_orders = np.sum(standard_ranks(x) * standard_ranks(y))
    return float(both_orders / 2)


def standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of the entries above the diagonal, centred and of norm 1, on both sides of it.

    The diagonal is zero. NaN where all entries are equal.
    """
    above = np.triu_indices(len(values), 1)
    ranks = centred_ranks(values[above])
    result = np.zeros(values.shape)
    with np.errstate(invalid="ignore"):
        result[above] = ranks / np.sqrt(ranks @ ranks)
    return result + result.T
