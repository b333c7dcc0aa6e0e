"""Linear predictability: the share of variance that a linear map from the other side explains.

Ridge regression in its kernel form. With a fixed predictor, fold and penalty, prediction is linear
in the targets, so the squared error of any target is an inner product of one n x n array with the
target's kernel: one array serves all targets. The penalty of each target and fold is chosen by the
leave-one-out error inside the training part (Allen 1974, PRESS).
"""

from __future__ import annotations

import numpy as np

from vidrep.random_streams import stream
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import SATURATED, TOO_FEW_ROWS, Cells, Measure, Prepared, Rows, cells
from vidrep.similarity.nuclear import basis, ranks
from vidrep.statistics import RIDGE_PENALTIES

BATCH = 8  # predictors whose arrays are multiplied at once


def folds_of(n: int, folds: int) -> list[np.ndarray]:
    """Clips dealt into folds at random, always the same way for the same two numbers."""
    order = stream(0, "similarity", "folds", n).permutation(n)
    return [np.sort(part) for part in np.array_split(order, folds)]


def error_arrays(
    kernel: np.ndarray, test: np.ndarray, train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Arrays whose inner product with a target's kernel is a squared error, for one fold.

    Args:
        kernel: (n, n) centred kernel of the predictor.
        test, train: clips left out of the fit, and the m others.

    Returns:
        (penalties, m, m) leave-one-out error within the training clips; (penalties, n, n) error on
        the test clips.
    """
    n = len(kernel)
    m = len(train)
    inner = kernel[np.ix_(train, train)]  # (m, m)
    across = kernel[np.ix_(test, train)]
    mean = inner.mean(axis=0)
    whole = mean.mean()
    inner = inner - mean - mean[:, None] + whole
    across = across - across.mean(axis=1, keepdims=True) - mean + whole
    values, vectors = np.linalg.eigh(inner)
    values = np.maximum(values, 0)
    projected = across @ vectors
    rows = np.arange(len(test))
    fitting = np.empty((len(RIDGE_PENALTIES), m, m))
    testing = np.empty((len(RIDGE_PENALTIES), n, n))
    for p, penalty in enumerate(RIDGE_PENALTIES * values.mean()):
        kept = values / (values + penalty)
        residual = np.eye(m) - 1 / m - (vectors * kept) @ vectors.T
        left_out = np.maximum(np.diag(residual), 1e-12)
        residual /= left_out[:, None]
        fitting[p] = residual.T @ residual
        operator = np.zeros((len(test), n))
        operator[rows, test] = 1
        operator[:, train] = -1 / m - (projected / (values + penalty)) @ vectors.T
        testing[p] = operator.T @ operator
    return fitting, testing


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    """The (n, n) kernel, and a basis of its column space for the share in sample."""
    matrix = kernel.matrix.astype(np.float64)
    if not options["folds"]:
        return Prepared("", kernel.rank, (matrix, basis(kernel, kernel.rank)))
    if kernel.n < 2 * options["folds"]:
        return Prepared(TOO_FEW_ROWS, None)
    return Prepared("", None, (matrix, None))


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    """Share of each column's variance that each row explains."""
    known = [j for j, item in enumerate(columns) if not item.flag]
    using = [i for i, item in enumerate(rows) if not item.flag]
    values = np.full((len(rows), len(columns)), np.nan)
    remarks = np.full(values.shape, "", dtype=object)
    if known and using:
        targets = np.array([columns[j].data[0] for j in known])
        explained = _cross_validated if options["folds"] else _in_sample
        values[np.ix_(using, known)] = explained([rows[i] for i in using], targets, options)
        if not options["folds"]:
            remarks[ranks(rows) >= targets.shape[1] - 1] = SATURATED
    return cells(values, rows, columns, remarks)


def _in_sample(rows: Rows, targets: np.ndarray, options: dict) -> np.ndarray:
    """Share of each target's (R, n, n) trace inside each predictor's column space."""
    projectors = np.array([row.data[1] @ row.data[1].T for row in rows])
    return _products(projectors, targets) / np.trace(targets, axis1=1, axis2=2)


def _cross_validated(rows: Rows, targets: np.ndarray, options: dict) -> np.ndarray:
    """(A, R) 1 - error / variance around the training mean, for (R, n, n) targets.

    Errors and variances are summed over folds.
    """
    error = np.zeros((len(rows), len(targets)))
    total = np.zeros(len(targets))
    for test in folds_of(targets.shape[1], options["folds"]):
        train = np.setdiff1d(np.arange(targets.shape[1]), test)
        within = targets.take(train, axis=1).take(train, axis=2)
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            arrays = [error_arrays(row.data[0], test, train) for row in batch]
            fitting = np.concatenate([fitting for fitting, _ in arrays])
            testing = np.concatenate([testing for _, testing in arrays])
            fitted = _products(fitting, within).reshape(len(batch), len(RIDGE_PENALTIES), -1)
            tested = _products(testing, targets).reshape(len(batch), len(RIDGE_PENALTIES), -1)
            chosen = np.argmin(fitted, axis=1, keepdims=True)
            error[start : start + BATCH] += np.take_along_axis(tested, chosen, axis=1)[:, 0]
        total += _variance(targets, within, test, train)
    return 1 - error / total


def _products(arrays: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(A, R) inner products of (A, n, n) arrays with (R, n, n) targets."""
    return arrays.reshape(len(arrays), -1) @ targets.reshape(len(targets), -1).T


def _variance(
    targets: np.ndarray,
    within: np.ndarray,
    test: np.ndarray,
    train: np.ndarray,
) -> np.ndarray:
    """Squared distances of the test clips from the mean of the training clips, for each target."""
    own = targets[:, test, test].sum(axis=1)
    across = targets[:, test[:, None], train].mean(axis=2).sum(axis=1)
    return own - 2 * across + len(test) * within.mean(axis=(1, 2))


def _chance(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """rank / (n - 1) in sample; nothing in closed form for the cross-validated share."""
    known = [len(item.data[0]) for item in (*rows, *columns) if not item.flag]
    n = known[0] if known else 2
    return np.repeat(ranks(rows)[:, None] / (n - 1), len(columns), axis=1)


def _check(options: dict) -> None:
    folds = options["folds"]
    if not isinstance(folds, int) or folds < 0 or folds == 1:
        raise ValueError(
            f"option folds: got {folds!r}, expected 0 (in sample) or a whole number of at least 2"
        )


MEASURE = Measure(
    "linear_r2",
    title="R2 of b from a",
    direction="similarity",
    range=(-np.inf, 1.0),
    identity=1.0,
    invariances=frozenset({"permutation", "rotation", "scale", "offset"}),
    cost="folds * penalties * n^2, and as many n^3 once per predictor",
    source="Hoerl and Kennard 1970; Allen 1974; Kornblith et al. 2019, section 3",
    prepare=_prepare,
    cross=_cross,
    options={"folds": 5},
    check=_check,
    symmetric=False,
    chance=_chance,
    arrays_per_rep=5.0,
    arrays_kept=5.0,
)
