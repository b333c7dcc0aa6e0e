"""The measures of the room, by name."""

from vidrep.similarity import (
    cka,
    matching,
    neighbour_ranks,
    neighbours,
    nuclear,
    predictivity,
    projection,
    rsa,
)
from vidrep.similarity.measure import Measure

MODULES = (cka, nuclear, projection, rsa, neighbours, neighbour_ranks, matching, predictivity)
MEASURES: dict[str, Measure] = {
    measure.name: measure for module in MODULES for measure in module.MEASURES
}


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


def markdown() -> str:
    """A Markdown table of all measures: what each declares of itself."""
    head = (
        "measure",
        "small or large means alike",
        "range",
        "blind to",
        "a pair costs",
        "options",
        "source",
    )
    rows = [head, ("---",) * len(head)]
    for name, spec in MEASURES.items():
        alike = "small" if spec.direction == "distance" else "large"
        low, high = (f"{end:.4g}" for end in spec.range)
        notes = [
            note
            for note, true in (("a metric", spec.metric), ("not symmetric", not spec.symmetric))
            if true
        ]
        options = ", ".join(f"{key}={value}" for key, value in spec.options.items()) or "none"
        blind = ", ".join(sorted(spec.invariances))
        rows.append(
            (
                f"`{name}`",
                ", ".join([alike, *notes]),
                f"{low} to {high}",
                blind,
                spec.cost,
                options,
                spec.source,
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
