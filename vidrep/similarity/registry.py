"""The measures of the room, by name."""

from vidrep.similarity import cka, nuclear, rsa
from vidrep.similarity.measure import Measure

MEASURES: dict[str, Measure] = {measure.name: measure for module in (cka, nuclear, rsa) for measure in module.MEASURES}


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
