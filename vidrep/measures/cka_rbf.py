"""Centred kernel alignment with a Gaussian kernel, whose width is a share of the median distance.

Kornblith et al. 2019 (arXiv:1905.00414).
"""

from __future__ import annotations

import numpy as np

from vidrep.similarity import bilinear
from vidrep.similarity.cka import (
    double_centre,
    jackknife_biased,
    jackknife_debiased,
    squared_distances,
    u_centre,
    unit,
)
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import (
    RANK_ZERO,
    SAME_GEOMETRY,
    Measure,
    Prepared,
    Rows,
    check_choice,
    check_range,
)


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    distances = squared_distances(kernel)
    squared_width = _squared_width(distances, kernel, options)
    if squared_width <= 0:
        return Prepared(RANK_ZERO, None)
    gaussian = np.exp(-distances / (2 * squared_width))
    centre = u_centre if options["debiased"] else double_centre
    return unit(centre(gaussian), kernel.matrix.dtype)


def _squared_width(distances: np.ndarray, kernel: Kernel, options: dict) -> float:
    """The squared width of the kernel in the unit of the (n, n) squared distances."""
    if options["absolute"]:
        return (options["bandwidth"] / kernel.scale) ** 2
    if options["median"] == "distinct":
        distances = distances[np.triu_indices(kernel.n, 1)]
    return options["bandwidth"] ** 2 * float(np.median(distances))


def _check(options: dict) -> None:
    check_range(options, "bandwidth", 0, np.inf)
    check_choice(options, "median", ("distinct", "all"))
    check_choice(options, "debiased", (False, True))
    check_choice(options, "absolute", (False, True))


def _jackknife(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """As for the linear kernel, with the bandwidths held: their own uncertainty is left out."""
    errors = jackknife_debiased if options["debiased"] else jackknife_biased
    return errors(rows, columns, options)


def _chance(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    chance = bilinear.no_chance if options["debiased"] else bilinear.trace_chance
    return chance(rows, columns, options)


MEASURE = Measure(
    "cka_rbf",
    title="RBF CKA",
    direction="similarity",
    range=(0.0, 1.0),
    identity=1.0,
    invariances=SAME_GEOMETRY,
    cost="n^2",
    source="Kornblith et al. 2019; median heuristic over distinct pairs",
    prepare=_prepare,
    cross=bilinear.cross,
    options={"bandwidth": 1.0, "absolute": False, "median": "distinct", "debiased": False},
    check=_check,
    chance=_chance,
    jackknife=_jackknife,
    null=bilinear.shift_null,
    light=True,
)
