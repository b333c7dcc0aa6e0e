"""Data sets as the configuration declares them.

An entry of ``datasets`` is a name of the catalogue, or a mapping with a name of its own::

    datasets:
      - velocity_only
      - {name: fast, recipe: velocity_only, step: 0.2, digits: 3, size_px: 32, frames: 24}
      - {name: mine, clips: {train: a.h5, validation: b.h5, test: c.h5}}
      - {name: actions, videos: /data/actions, split: {by: group, pattern: '_g(\\d+)_'}}

Everything else asks the data set: rules, checks, memory requests and figures. The Snakefile reads
this module whenever it is parsed, so it imports nothing heavy.
"""

import re

from vidrep.datasets.files import CLIPS_KIND
from vidrep.datasets.kind import DataSet, Kind
from vidrep.datasets.recipes import CATALOGUE
from vidrep.datasets.rendered import BOUNCING_KIND, SEQUENCES_KIND
from vidrep.datasets.videos.kind import VIDEOS_KIND
from vidrep.naming import nearest

__all__ = ["KINDS", "DataSet", "Kind", "data_set", "data_sets", "names"]

KINDS = {kind.name: kind for kind in (BOUNCING_KIND, SEQUENCES_KIND, CLIPS_KIND, VIDEOS_KIND)}
TAKEN_SUFFIX = "_untrimmed"  # what the videos for detection are called after their data set
_NAME = re.compile(r"[A-Za-z0-9_]+")


def names() -> list[str]:
    """The names of the catalogue."""
    return list(CATALOGUE)


def data_sets(config: dict) -> dict[str, DataSet]:
    """All data sets of a configuration, by name.

    Raises:
        ValueError: see ``data_set``; or two of the same name.
    """
    found: dict[str, DataSet] = {}
    for entry in config["datasets"]:
        made = data_set(entry, config)
        if made.name in found:
            raise ValueError(
                f"config key datasets: two are called {made.name}; give one another name"
            )
        found[made.name] = made
    return found


def data_set(entry: str | dict, config: dict) -> DataSet:
    """The data set that an entry of ``datasets`` declares.

    Args:
        entry: a name of the catalogue, or a mapping.
        config: the configuration with all defaults: sections ``video``, ``sequences``, ``clips``.

    Raises:
        ValueError: one line that names the key, what is wrong and what would be right.
    """
    entry = {"name": entry} if isinstance(entry, str) else dict(entry)
    name = _checked_name(entry)
    key = f"config key datasets, {name}"
    kind = _kind(entry, key)
    _check_keys(entry, kind, key)
    title = entry.get("title", _title(entry))
    try:
        return kind.declare(name, title, entry, config)
    except (ValueError, OSError) as error:
        raise ValueError(f"{key}: {error}") from None


def _checked_name(entry: dict) -> str:
    """The name of an entry, which also serves as a folder's name."""
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"config key datasets: {entry} needs a name of letters, digits and underscores,"
            f" got {name!r}"
        )
    if name.endswith(TAKEN_SUFFIX):
        raise ValueError(
            f"config key datasets, {name}: names that end in {TAKEN_SUFFIX} are those of videos for"
            " detection; choose another"
        )
    return name


def _kind(entry: dict, key: str) -> Kind:
    """The kind of an entry: that of its recipe, or the one whose files it names.

    Where the name is one of the catalogue, it is that recipe with other settings, and ``recipe`` is
    filled in.
    """
    name = entry["name"]
    given = [kind for kind in KINDS.values() if kind.renderer is None and kind.name in entry]
    if len(given) + ("recipe" in entry) > 1:
        several = ["recipe"] * ("recipe" in entry) + [kind.name for kind in given]
        raise ValueError(f"{key}: {' and '.join(several)} exclude each other; give one of them")
    if name in CATALOGUE:
        if given or entry.get("recipe", name) != name:
            raise ValueError(f"{key}: the catalogue has a data set of this name; choose another")
        entry["recipe"] = name
    if given:
        return given[0]
    if "recipe" not in entry:
        files = [kind.name for kind in KINDS.values() if kind.renderer is None]
        raise ValueError(
            f"{key}: not in the catalogue; {nearest(name, CATALOGUE)} (a data set of your own has a"
            f" recipe of the catalogue, or files: {', '.join(files)})"
        )
    if entry["recipe"] not in CATALOGUE:
        raise ValueError(
            f"{key}.recipe: {entry['recipe']!r} is not in the catalogue;"
            f" {nearest(str(entry['recipe']), CATALOGUE)}"
        )
    return KINDS[CATALOGUE[entry["recipe"]].kind]


def _check_keys(entry: dict, kind: Kind, key: str) -> None:
    """Only keys that the kind knows, with values that it takes."""
    source = kind.name if kind.renderer is None else "recipe"
    known = ["name", "title", source, *kind.keys]
    for given, value in entry.items():
        if given not in known:
            raise ValueError(
                f"{key}: unknown key {given!r} for a data set of kind {kind.name};"
                f" {nearest(str(given), known)}"
            )
        if given == "title" and not isinstance(value, str):
            raise ValueError(f"{key}.title: got {value!r}; give text")
        if given in kind.keys and (problem := kind.keys[given].problem(value)):
            raise ValueError(f"{key}.{given}: {problem}")


def _title(entry: dict) -> str:
    """What a data set is called in figures where the configuration does not say."""
    name = entry["name"]
    return CATALOGUE[name].title if name in CATALOGUE else name.replace("_", " ")
