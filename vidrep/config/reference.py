"""The reference of all keys, docs/configuration.md, made of the sections."""

import json
import types
from typing import Any, Literal, Union, get_args, get_origin

from vidrep.config.complete import section_in
from vidrep.config.sections import Config, Measure, Section
from vidrep.datasets.declared import KINDS
from vidrep.datasets.kind import Part

HEAD = """# Configuration

Every key of an experiment's configuration. All may be left out but those that are required.
`config.yaml` shows them with comments; overlays such as `workflow/experiments/paper.yaml` give only
what differs. This page is made of the sections in `vidrep/config/sections.py`:
`python -m vidrep configuration > docs/configuration.md`.

Snakemake reads files of `--configfile` itself, and does not say where one is no YAML:
`python -m vidrep check FILE` names line and column, and checks all keys without starting anything.
"""


def markdown() -> str:
    """The page."""
    return "\n".join([HEAD, *_section_lines(Config, ""), *_data_set_lines()])


def _data_set_lines() -> list[str]:
    """What an entry of ``datasets`` that is a mapping may give, kind by kind."""
    lines = [
        "## Data sets of your own",
        "",
        "An entry of `datasets` has `name`, `title` (its name in figures) and, by its kind:",
        "",
        "| kind | key | values | meaning |",
        "|---|---|---|---|",
    ]
    for kind in KINDS.values():
        source = "recipe" if kind.renderer else kind.name
        lines.append(f"| {kind.name} | `{source}` | | {kind.source} |")
        lines += _key_lines(kind.name, kind.keys)
    return [*lines, ""]


def _key_lines(kind: str, keys: dict, path: str = "") -> list[str]:
    """A row for each key of a kind, and for the keys within it."""
    lines = []
    for name, key in keys.items():
        lines.append(f"| {kind} | `{path}{name}` | {key.values} | {key.sentence} |")
        if isinstance(key, Part):
            lines += _key_lines(kind, key.keys, f"{path}{name}.")
    return lines


def _section_lines(section: type[Section], path: str) -> list[str]:
    """The table of a section, then the sections in it."""
    lines = [f"## {path}", "", section.__doc__.splitlines()[0], ""] if path else []
    lines += ["| key | values | default | meaning |", "|---|---|---|---|"]
    inner = []
    for name, field in section.model_fields.items():
        below = f"{path}.{name}" if path else name
        part = section_in(field.annotation)
        if part:
            inner.append((part, below))
        if field.default_factory:
            lines.append(f"| `{name}` | [section](#{below.replace('.', '')}) | | {_first(part)} |")
            continue
        default = "required" if field.is_required() else f"`{json.dumps(field.default)}`"
        default = "" if field.default is None else default
        values = _values(field.annotation, field.metadata)
        lines.append(f"| `{name}` | {values} | {default} | {field.description} |")
    lines.append("")
    for part, below in inner:
        lines += _section_lines(part, below)
    return lines


def _first(section: type[Section]) -> str:
    """The first line of a section's docstring, without its full stop."""
    return section.__doc__.splitlines()[0].rstrip(".")


def _values(annotation: Any, metadata: list) -> str:
    """The values that a key takes, in words."""
    parts = get_args(annotation)
    origin = get_origin(annotation)
    if annotation == Measure:  # their list stands in one place, so that a new one costs one file
        return "a name that `python -m vidrep measures` lists"
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in parts)
    if origin is list:
        return f"list of: {_values(parts[0], [])}"
    if origin in (types.UnionType, Union):
        kinds = [_values(part, []) for part in parts if part is not type(None)]
        return " or ".join(kinds) + (" or `null`" if type(None) in parts else "")
    if hasattr(annotation, "__metadata__"):
        return _values(annotation.__origin__, list(annotation.__metadata__))
    if section_in(annotation):
        return "mapping"
    names = {int: "integer", float: "number", bool: "`true`, `false`", str: "text", dict: "mapping"}
    return names[annotation] + _limits(metadata)


def _limits(metadata: list) -> str:
    """The limits of a number, in signs."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = []
    for item in metadata:
        item = getattr(item, "metadata", [item])
        for limit in item:
            for name, sign in signs.items():
                if getattr(limit, name, None) is not None:
                    found.append(f"{sign} {getattr(limit, name):g}")
    return f" {', '.join(found)}" if found else ""
