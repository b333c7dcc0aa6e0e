"""Mean canonical correlation of the leading principal subspaces.

Raghu et al. 2017 (arXiv:1706.05806).
"""

from __future__ import annotations

from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import SAME_GEOMETRY, Measure, Prepared, check_range
from vidrep.similarity.nuclear import basis, chance_cca, cross_cca, leading


def _prepare(kernel: Kernel, options: dict) -> Prepared:
    kept = leading(kernel.singular_values[: kernel.rank], options["variance"])
    return Prepared("", kept, basis(kernel, kept))


MEASURE = Measure(
    "svcca",
    title="SVCCA",
    direction="similarity",
    range=(0.0, 1.0),
    identity=1.0,
    invariances=SAME_GEOMETRY,
    cost="n r^2",
    source="Raghu et al. 2017",
    prepare=_prepare,
    cross=cross_cca,
    options={"variance": 0.99},
    check=lambda options: check_range(options, "variance", 0, 1),
    chance=chance_cca,
)
