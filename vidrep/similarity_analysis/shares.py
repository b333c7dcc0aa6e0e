"""How much of the distances between trained systems their properties and their data explain.

Distance-based partition of variance (Anderson 2001, Austral Ecology 26:32; McArdle and Anderson
2001, Ecology 82:290): squared distances are split as the sums of squares of a linear model are.
Seeds are averaged first, as runs of one system are no independent witnesses of its family; what
remains is a cell for each system and data set trained on. Permutations keep to that design: systems
change places as wholes, with all their cells, and data sets change places within a system.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vidrep.similarity_analysis.exchange import exchanged, permuted_sums, shuffled
from vidrep.similarity_analysis.scaling import gram
from vidrep.statistics import permutation_p

DATA = "trained_on"  # the factor that varies within a system; all others belong to systems
SHARE_COLUMNS = ("factor", "levels", "df", "r2", "p", "r2_only", "r2_only_adjusted", "p_only", "n")
SAME = 1e-9  # shares of the whole that differ by less are ties


def variance_shares(
    distances: np.ndarray,
    runs: pd.DataFrame,
    factors: Sequence[str],
    *,
    permutations: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Shares of the squared distances that factors explain.

    Args:
        distances: (R, R) between runs.
        runs: R rows; columns system, trained_on and the factors.
        factors: names of columns, ``trained_on`` or properties of systems; those with a single
            level are left out.
        permutations: draws for the p values.
        rng: draws them.

    Returns:
        One row a factor, and "residual", what all of them leave. ``r2``: share of the factor by
        itself. ``r2_only``: what the model of all factors loses without it, 0 where it follows from
        the others. ``r2_only_adjusted``: the same of the adjusted share (Peres-Neto et al. 2006,
        Ecology 87:2614), 0 on average for a factor that explains nothing. ``p``, ``p_only``: of
        these shares under permutation; NaN where no permutation changes the share, as with one
        system a level. ``n``: cells.
    """
    cells, products = cell_products(distances, runs)
    factors = [name for name in factors if cells[name].nunique() > 1]
    designs = {name: _indicators(cells[name]) for name in factors}
    full = projector(list(designs.values()), len(cells))
    rows = []
    for name in factors:
        orders = _orders(cells, name, factors, permutations, rng)
        rows.append(_factor_row(name, cells, products, designs, full, orders))
    rows.append(_residual_row(cells, products, full))
    table = pd.DataFrame(rows).assign(n=len(cells)).reindex(columns=SHARE_COLUMNS)
    return table.astype({"levels": "Int64"})


def _orders(
    cells: pd.DataFrame,
    name: str,
    factors: Sequence[str],
    permutations: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Orders of the cells by which a factor is judged: by itself, and beside the other factors."""
    others = [other for other in factors if other not in (name, DATA)]
    free = permuted_cells(cells, name, [], permutations, rng)
    kept = permuted_cells(cells, name, others, permutations, rng)
    return free, kept


def _factor_row(
    name: str,
    cells: pd.DataFrame,
    products: np.ndarray,
    designs: dict[str, np.ndarray],
    full: np.ndarray,
    orders: tuple[np.ndarray, np.ndarray],
) -> dict:
    """The row of one factor.

    Args:
        name: the factor.
        cells, products: see ``cell_products``.
        designs: columns of each factor.
        full: projector of the model of all factors.
        orders: see ``_orders``.
    """
    whole = np.trace(products)
    alone = projector([designs[name]], len(cells))
    others = [design for other, design in designs.items() if other != name]
    rest = projector(others, len(cells))
    df = rank(full) - rank(rest)
    free, kept = orders
    row = {
        "factor": name,
        "levels": cells[name].nunique(),
        "df": df,
        "r2": share(alone, products) / whole,
        "p": share_p(alone, products, free),
        "r2_only": 0.0,
        "r2_only_adjusted": 0.0,
        "p_only": np.nan,
    }
    if df:
        row["r2_only"] = share(full - rest, products) / whole
        row["r2_only_adjusted"] = adjusted(full, products) - adjusted(rest, products)
        row["p_only"] = share_p(full, products, kept)
    return row


def _residual_row(cells: pd.DataFrame, products: np.ndarray, full: np.ndarray) -> dict:
    """The row of what all factors leave."""
    whole = np.trace(products)
    left = np.nan  # a single cell has nothing to share
    if whole > 0:
        left = 1 - share(full, products) / whole
    df = len(cells) - 1 - rank(full)
    return {"factor": "residual", "df": df, "r2": left, "r2_only": left}


def cell_products(distances: np.ndarray, runs: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The cells (system, trained_on) of runs and inner products (C, C) of their centres.

    A cell's centre is the mean over its seeds; the centres themselves are centred.
    """
    keys = pd.MultiIndex.from_frame(runs[["system", DATA]])
    numbers, found = pd.factorize(keys)
    mean = np.zeros((len(found), len(runs)))
    mean[numbers, range(len(runs))] = 1
    runs_of_cells = mean.sum(1, keepdims=True)
    mean /= runs_of_cells
    products = mean @ gram(distances) @ mean.T
    products -= products.mean(0)
    products -= products.mean(1)[:, None]
    first = [int(np.argmax(numbers == cell)) for cell in range(len(found))]
    return runs.iloc[first].reset_index(drop=True), products


def _indicators(labels: pd.Series) -> np.ndarray:
    return pd.get_dummies(labels).to_numpy(float)


def projector(designs: Sequence[np.ndarray], count: int) -> np.ndarray:
    """(C, C) projector on the columns of designs (C, levels) less their mean.

    It is zero without designs.
    """
    if not designs:
        return np.zeros((count, count))
    joint = np.concatenate(designs, axis=1)
    centred = joint - joint.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    basis = left[:, values > 1e-9 * values[0]]
    return basis @ basis.T


def rank(projection: np.ndarray) -> int:
    """Degrees of freedom of a projector."""
    return round(float(np.trace(projection)))


def share(projection: np.ndarray, products: np.ndarray) -> float:
    """Sum of squares that a projector takes of the points with these inner products."""
    return float(np.sum(projection * products))


def adjusted(projection: np.ndarray, products: np.ndarray) -> float:
    """Adjusted share of a model: 1 - (1 - R2) (C - 1) / (C - 1 - df).

    NaN for a model that leaves no freedom.
    """
    whole = len(products) - 1
    left = whole - rank(projection)
    if not left:
        return np.nan
    r2 = share(projection, products) / np.trace(products)
    return 1 - (1 - r2) * whole / left


def share_p(projection: np.ndarray, products: np.ndarray, orders: np.ndarray) -> float:
    """Share of permutations of the cells, the given order among them, that reach the observed sum.

    Designs stay and points move, which for these permutations is the same as moving one factor's
    labels: the other factors of the model are unchanged by them, so that the sum of squares orders
    permutations as the pseudo-F does.
    """
    permuted = permuted_sums(projection, products, orders)
    observed = share(projection, products)
    close = SAME * np.trace(products)
    if np.all(np.abs(permuted - observed) < close):
        return np.nan
    return permutation_p(observed, permuted, tolerance=close)


def permuted_cells(
    cells: pd.DataFrame,
    factor: str,
    fixed: Sequence[str],
    permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(P, C) orders of the cells that are equally likely if a factor explains nothing.

    ``trained_on``: data sets change places within each system. A property of systems: systems
    change places as wholes, among those that were trained on the same data sets and agree in the
    properties ``fixed``.
    """
    own = list(cells.groupby("system", sort=False).indices.values())
    if factor == DATA:
        return shuffled(len(cells), own, permutations, rng)
    data = cells[DATA].to_numpy()
    blocks = [rows[np.argsort(data[rows])] for rows in own]
    kinds = []
    for rows in blocks:
        properties = cells.iloc[rows[0]][list(fixed)]
        kinds.append((*data[rows], *properties))
    return exchanged(len(cells), blocks, kinds, permutations, rng)
