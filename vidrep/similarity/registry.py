"""The measures of the room, by name."""

from vidrep.similarity import cka, matching, neighbour_ranks, neighbours, nuclear, predictivity, projection, rsa
from vidrep.similarity.measure import Measure

MODULES = (cka, nuclear, projection, rsa, neighbours, neighbour_ranks, matching, predictivity)
MEASURES: dict[str, Measure] = {measure.name: measure for module in MODULES for measure in module.MEASURES}


def measures() -> tuple[str, ...]:
    """Names of all measures."""
    return tuple(MEASURES)


def find(name: str) -> Measure:
    """The measure called ``name``.

    Raises:
        ValueError: no such measure.
    """
    if name not in MEASURES:
        raise ValueError(f"unknown measure {name!r}; known: {', '.join(MEASURES)}")
    return MEASURES[name]
