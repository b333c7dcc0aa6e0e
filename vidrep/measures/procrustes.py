"""Procrustes distance: what is left between two representations after the best rotation.

Williams et al. 2021 (arXiv:2110.14739), of the principal component scores of the centred
activations of norm 1. Option ``alpha`` goes from Procrustes (1) to CCA (0), the regularised CCA of
the same paper, see ``vidrep.similarity.nuclear.prepare_shape``.
"""

from __future__ import annotations

import math

import numpy as np

from vidrep.similarity.measure import SAME_GEOMETRY, Cells, Measure, Rows, cells, check_choice
from vidrep.similarity.nuclear import check_shape, cosines, prepare_shape, truncation

FORMS = ("distance", "squared", "cosine", "size_and_shape")


def _cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    cosine = cosines(rows, columns)
    values = _values(rows, columns, cosine, options["form"])
    return cells(values, rows, columns, truncation(cosine, options))


def _values(rows: Rows, columns: Rows, cosine: np.ndarray, form: str) -> np.ndarray:
    """(A, B) values of one of ``FORMS``."""
    if form == "cosine":
        return cosine
    if form == "squared":
        return 2 - 2 * cosine
    if form == "distance":
        return np.sqrt(2 - 2 * cosine)
    left = np.array([item.scale or np.nan for item in rows])
    right = np.array([item.scale or np.nan for item in columns])
    size = np.subtract.outer(left, right) ** 2
    shape = 2 * np.outer(left, right) * (1 - cosine)
    return np.sqrt(size + shape)


def _check(options: dict) -> None:
    check_shape(options)
    check_choice(options, "form", FORMS)
    if options["form"] == "size_and_shape" and options["alpha"] < 1:
        raise ValueError(
            "option alpha: partly whitened activations have no size; use form distance, squared or"
            " cosine"
        )


MEASURE = Measure(
    "procrustes",
    title="Procrustes distance",
    direction="distance",
    range=(0.0, math.sqrt(2)),
    identity=0.0,
    invariances=SAME_GEOMETRY,
    metric=True,
    cost="n r^2",
    source="Williams et al. 2021",
    prepare=prepare_shape,
    cross=_cross,
    options={"form": "distance", "variance": 1.0, "alpha": 1.0},
    check=_check,
    turned=lambda options: options["form"] == "cosine",
)
