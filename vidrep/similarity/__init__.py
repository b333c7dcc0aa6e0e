"""One kernel summary per representation, then light measures of all pairs from kernels."""

from vidrep.measures import find
from vidrep.measures import names as measures
from vidrep.similarity.difference import Difference, difference, differences
from vidrep.similarity.engine import Comparison, all_pairs, compare, compare_all
from vidrep.similarity.kernel import Kernel, summarise

__all__ = [
    "Comparison",
    "Difference",
    "Kernel",
    "all_pairs",
    "compare",
    "compare_all",
    "difference",
    "differences",
    "find",
    "measures",
    "summarise",
]
