"""Configurations checked key by key and filled with defaults; errors in one line."""

import copy
import re
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from vidrep.config.sections import Config, Section
from vidrep.naming import nearest

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What pydantic calls a mistake -> what we say of it, with the limits it was checked against.
SENTENCES = {
    "greater_than": "give more than {gt}",
    "greater_than_equal": "give at least {ge}",
    "less_than": "give less than {lt}",
    "less_than_equal": "give at most {le}",
    "too_short": "give at least {min_length} of them",
    "too_long": "give at most {max_length} of them",
    "string_pattern_mismatch": "give text that matches {pattern}",
    "int_type": "give an integer",
    "float_type": "give a number",
    "bool_type": "give true or false",
    "string_type": "give text",
    "list_type": "give a list",
    "dict_type": "give a mapping of keys",
    "model_type": "give a mapping of keys",
}


def read_yaml(path: str | Path) -> dict:
    """The keys of a configuration file.

    Raises:
        ValueError: one line with file, line and column where it is not YAML.
    """
    try:
        content = yaml.load(Path(path).read_text(), Loader=LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ValueError(f"{path}{place}: this is not YAML: {problem}") from None
    if not isinstance(content or {}, dict):
        raise ValueError(f"{path}: give keys with values, key: value, at the top level")
    return content or {}


def complete(config: dict) -> dict:
    """A configuration with all defaults; what it gives itself stays as it is.

    Raises:
        ValueError: one line that names the key, what is wrong and what would be right.
    """
    filled = _filled(Config, config)
    try:
        Config.model_validate(filled)
    except ValidationError as error:
        found = error.errors(include_url=False)
        unknown = [item for item in found if item["type"] == "extra_forbidden"]
        raise ValueError(_sentence((unknown or found)[0])) from None
    return filled


def _filled(section: type[Section], given: dict) -> dict:
    """A section's keys, given or by default; keys without a default stay away."""
    filled = dict(given)
    for name, field in section.model_fields.items():
        if field.default_factory:
            inner = given.get(name, {})
            filled[name] = _filled(field.annotation, inner) if isinstance(inner, dict) else inner
        elif field.default is not None and not field.is_required():
            filled.setdefault(name, copy.deepcopy(field.default))
    return filled


def _sentence(error: dict) -> str:
    """One of pydantic's errors in our words."""
    # Pydantic names the branch of a union, as we have tagged it, among the keys.
    path = [part for part in error["loc"] if not str(part).startswith("<")]
    kind = error["type"]
    got = error["input"]
    limits = error.get("ctx", {})
    if kind in ("extra_forbidden", "missing"):
        *path, key = path
    if kind == "extra_forbidden":
        problem = f"unknown key {key!r}; {nearest(str(key), _section_at(path).model_fields)}"
    elif kind == "missing":
        problem = f"{key} is missing"
    elif kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", limits["expected"])
        problem = f"got {got!r}; {nearest(str(got), allowed)}"
    elif kind == "value_error":
        problem = str(limits["error"])
    elif kind in SENTENCES:
        problem = f"got {got!r}; {SENTENCES[kind].format(**limits)}"
    else:
        problem = f"got {got!r}; {error['msg']}"
    return f"config key {'.'.join(map(str, path)) or '(top level)'}: {problem}"


def _section_at(path: list) -> type[BaseModel]:
    """The section whose keys stand at a place of the configuration."""
    section = Config
    for part in path:
        if isinstance(part, str):
            section = section_in(section.model_fields[part].annotation)
    return section


def section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that an annotation is made of, at whatever depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = map(section_in, get_args(annotation))
    return next((section for section in found if section), None)
