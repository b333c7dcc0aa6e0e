"""Projection-weighted CCA: correlations weighted by how much of a representation they carry.

Morcos et al. 2018 (arXiv:1806.05759), eq. 2: variates h_i with unit norm over clips, weights sum_j
|<h_i, x_j>| over the centred features x_j. The code released with the paper forms h_i without the
whitening step; this is the definition as printed. Weights need the activations themselves: each
representation's features are read once for all of its pairs.
"""

from __future__ import annotations

import numpy as np

from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import (
    SATURATED,
    TIED,
    Cells,
    Measure,
    Prepared,
    Rows,
    cells,
    check_choice,
)
from vidrep.similarity.nuclear import basis, saturation

SAME = 1e-6  # correlations closer than this are tied
FEATURES = 1024  # multiplied at once


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    if kernel.features is None:
        raise ValueError(
            f"{kernel.name or 'a kernel summary'}: pwcca needs the activations, which this summary"
            " does not lead to"
        )
    return Prepared("", kernel.rank, basis(kernel, kernel.rank), features=kernel.features)


def _weighted(rows: Rows, columns: Rows) -> tuple[np.ndarray, np.ndarray]:
    """(A, B) correlations with the weights of the row's representation, and whether some tie."""
    values = np.full((len(rows), len(columns)), np.nan)
    tied = np.zeros((len(rows), len(columns)), dtype=bool)
    for i, row in enumerate(rows):
        partners = [j for j, item in enumerate(columns) if not item.flag and not row.flag]
        if not partners:
            continue
        variates = []
        correlations = []
        for j in partners:
            left, strength, _ = np.linalg.svd(row.data.T @ columns[j].data, full_matrices=False)
            variates.append(row.data @ left)
            correlations.append(np.clip(strength, 0, 1))
            tied[i, j] = bool(np.any(-np.diff(strength) < SAME))
        weights = _weights(row, np.concatenate(variates, axis=1))
        ends = np.cumsum([len(strength) for strength in correlations])
        shares = np.split(weights, ends[:-1])
        for j, strength, share in zip(partners, correlations, shares, strict=True):
            values[i, j] = float(share @ strength / share.sum())
    return values, tied


def _weights(row: Prepared, variates: np.ndarray) -> np.ndarray:
    """(k,) sums over features of the absolute products with (n, k) variates."""
    total = np.zeros(variates.shape[1])
    for block in row.features():
        for start in range(0, block.shape[1], FEATURES):
            some = block[:, start : start + FEATURES]
            total += np.abs(some.T @ variates).sum(axis=0)
    return total


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    from_rows, tied = _weighted(rows, columns)
    from_columns = from_rows.T if columns is rows else _weighted(columns, rows)[0].T
    by_weights = {"both": (from_rows + from_columns) / 2, "a": from_rows, "b": from_columns}
    remarks = saturation(rows, columns)
    remarks = np.where((remarks != SATURATED) & tied, TIED, remarks)
    return cells(by_weights[options["weights"]], rows, columns, remarks)


MEASURE = Measure(
    "pwcca",
    title="PWCCA",
    direction="similarity",
    range=(0.0, 1.0),
    identity=1.0,
    invariances=frozenset({"permutation", "scale", "offset"}),
    cost="n r^2 + n r d",
    source="Morcos et al. 2018",
    prepare=_prepare,
    cross=_cross,
    options={"weights": "both"},
    check=lambda options: check_choice(options, "weights", ("both", "a", "b")),
    one_sided=lambda options: options["weights"] != "both",
    arrays_kept=3.0,
)
