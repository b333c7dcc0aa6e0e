"""The measures of similarity: one file each, named like the measure, whose ``MEASURE`` declares it.

A new file in this folder is a new measure: the configuration, the listings, the documentation and
the tests of all measures know of it. Names are those of the files, so that a Snakefile that is
parsed imports no measure; a measure is imported when it is asked for. What several measures share
stands in ``vidrep.similarity``.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidrep.similarity.measure import Measure

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of all measures, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("[!_]*.py")))


def source_file(name: str) -> Path:
    """The file of the measure called ``name``."""
    return FOLDER / f"{name}.py"


def find(name: str) -> Measure:
    """The measure called ``name``.

    Raises:
        ValueError: no such measure.
    """
    module = f"{__name__}.{name}"
    try:
        return import_module(module).MEASURE
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        known = ", ".join(names())
        raise ValueError(f"unknown measure {name!r}; known: {known}") from None


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
    rows += [_markdown_row(find(name)) for name in names()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _markdown_row(measure: Measure) -> tuple[str, ...]:
    traits = ["small" if measure.direction == "distance" else "large"]
    if measure.metric:
        traits.append("a metric")
    if not measure.symmetric:
        traits.append("not symmetric")
    low, high = measure.range
    options = [f"{key}={value}" for key, value in measure.options.items()]
    return (
        f"`{measure.name}`",
        ", ".join(traits),
        f"{low:.4g} to {high:.4g}",
        ", ".join(sorted(measure.invariances)),
        measure.cost,
        ", ".join(options) or "none",
        measure.source,
    )
