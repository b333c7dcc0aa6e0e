"""From a name in the configuration to the object it names: a registry's or a user's own."""

import importlib
import importlib.util
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from vidrep.code_files import import_file

MANY_NAMES = 20  # more are not named in one line


def nearest(name: str, known: Iterable[str], listing: str = "") -> str:
    """What an unknown name may have meant, as the end of an error message.

    Args:
        name: the unknown name.
        known: all names there are.
        listing: where all are listed, told where they are too many to name.
    """
    known = list(known)
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    if len(known) <= MANY_NAMES:
        return f"give one of {', '.join(known)}"
    return listing or f"give one of {', '.join(known[:MANY_NAMES])}, ..."


@dataclass(frozen=True)
class Declared:
    """An entry of a registry: where the thing lies that is declared, without importing it.

    Attributes:
        place: ``module:attribute``.
    """

    place: str


def place(name: str, table: Mapping[str, Declared], kind: str) -> tuple[str, str]:
    """The module (or .py file) and the attribute behind ``name``; arguments as for ``resolve``."""
    found = table[name].place if name in table else name
    if ":" not in found:
        raise ValueError(
            f"unknown {kind} {name!r}: {nearest(name, sorted(table))} (or your own as"
            " module:attribute or file.py:attribute)"
        )
    module, attribute = found.rsplit(":", 1)
    return module, attribute


def is_file(module: str) -> bool:
    """Is the module part of a name a file of code, such as ``nets/mine.py``?"""
    return module.endswith(".py")


def resolve(name: str, table: Mapping[str, Declared], kind: str):
    """The object called ``name``.

    Args:
        name: a key of ``table``, ``module:attribute``, or ``file.py:attribute`` with a path that
            is absolute or relative to the working folder.
        table: a registry.
        kind: what is looked for, for the error line.

    Raises:
        ValueError: unknown name, or a file, module or attribute that does not exist.
    """
    module_name, attribute = place(name, table, kind)
    if is_file(module_name):
        module = import_file(source_file(name, table, kind))
    else:
        module = _import_module(module_name, f"{kind} {name!r}")
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ValueError(f"{kind} {name!r}: module {module_name} has no {attribute!r}") from None


def _import_module(module_name: str, label: str):
    """A module on the Python path; ValueError where there is none of that name."""
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise
        raise ValueError(f"{label}: there is no module {error.name!r} on the Python path") from None


def resolve_own(name: str, table: Mapping[str, Declared], kind: str):
    """As ``resolve``, for a user's own object, whose code may fail as it is imported.

    Raises:
        ValueError: as ``resolve``; or what the module's own code raised.
    """
    try:
        return resolve(name, table, kind)
    except ValueError:
        raise
    except Exception as error:
        reason = (
            str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        )
        raise ValueError(f"{kind} {name!r} cannot be imported: {reason}") from error


def source_file(name: str, table: Mapping[str, Declared], kind: str) -> Path:
    """The file in which ``name`` is defined, found without importing it.

    Raises:
        ValueError: unknown name, or a file or module that does not exist.
    """
    module, _ = place(name, table, kind)
    if is_file(module):
        path = Path(module)
        if not path.is_file():
            raise ValueError(
                f"{kind} {name!r}: no file {path} (paths are relative to the working folder,"
                f" {Path.cwd()})"
            )
        return path
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a parent package is missing
        spec = None
    if spec is None or not spec.has_location:
        raise ValueError(f"{kind} {name!r}: there is no module {module!r} on the Python path")
    return Path(spec.origin)


def check_arguments(target, arguments: dict, label: str, given: int = 0) -> None:
    """Check that ``target`` takes ``arguments`` by name, after ``given`` positional ones.

    Raises:
        ValueError: an argument it does not take, with those it does.
    """
    parameters = list(inspect.signature(target).parameters.values())[given:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    accepted = [parameter.name for parameter in parameters]
    for key in arguments:
        if key not in accepted:
            raise ValueError(
                f"{label}: unknown parameter {key!r}; it takes {', '.join(accepted) or 'none'}"
            )
