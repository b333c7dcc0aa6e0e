"""Mean canonical correlation of the full column spaces.

Hotelling 1936; Morcos et al. 2018 (arXiv:1806.05759).
"""

from __future__ import annotations

from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import SAME_GEOMETRY, Measure, Prepared, check_choice
from vidrep.similarity.nuclear import basis, chance_cca, cross_cca


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    return Prepared("", kernel.rank, basis(kernel, kernel.rank))


MEASURE = Measure(
    "cca_mean",
    title="mean CCA",
    direction="similarity",
    range=(0.0, 1.0),
    identity=1.0,
    invariances=SAME_GEOMETRY | {"linear"},
    cost="n r^2",
    source="Hotelling 1936; Morcos et al. 2018",
    prepare=_prepare,
    cross=cross_cca,
    options={"squared": False},
    check=lambda options: check_choice(options, "squared", (False, True)),
    chance=chance_cca,
)
