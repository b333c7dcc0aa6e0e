"""Linear centred kernel alignment of U-centred kernels: about 0 for unrelated representations.

Szekely and Rizzo 2014 (arXiv:1310.2926), equivalent to the unbiased HSIC of Song et al. 2012 with a
denominator that cannot be negative.
"""

from __future__ import annotations

from functools import partial

from vidrep.similarity import bilinear
from vidrep.similarity.cka import Linear, cross_linear, jackknife_debiased, u_centre
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import SAME_GEOMETRY, Measure


def _prepare(kernel: Kernel, options: dict) -> Linear:
    return Linear(kernel, u_centre)


MEASURE = Measure(
    "cka_linear_debiased",
    title="linear CKA, debiased",
    direction="similarity",
    range=(-1.0, 1.0),
    identity=1.0,
    invariances=SAME_GEOMETRY,
    cost="n^2",
    source="Szekely and Rizzo 2014; Murphy et al. 2024",
    prepare=_prepare,
    cross=partial(cross_linear, debiased=True),
    chance=bilinear.no_chance,
    jackknife=jackknife_debiased,
    null=bilinear.shift_null,
    light=True,
    tiled=True,
)
