"""From a name in the configuration to the object it names: a table entry or a user's ``module:attribute``."""

import importlib
import importlib.util
import inspect
from pathlib import Path


def resolve(name: str, table: dict[str, str], kind: str):
    """The object called ``name``.

    Args:
        name: a key of ``table``, or ``module:attribute``.
        table: name -> ``module:attribute``.
        kind: what is looked for, for the error line.

    Raises:
        ValueError: unknown name, or a module or attribute that does not exist.
    """
    target = table.get(name, name)
    if ":" not in target:
        raise ValueError(f"unknown {kind} {name!r}: give one of {', '.join(sorted(table))}, or your own as module:attribute")
    module_name, attribute = target.split(":", 1)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise
        raise ValueError(f"{kind} {name!r}: there is no module {error.name!r} on the Python path") from None
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise ValueError(f"{kind} {name!r}: module {module_name} has no {attribute!r}") from None


def source_file(name: str, table: dict[str, str], kind: str) -> Path:
    """The file in which ``name`` is defined, found without importing it.

    Raises:
        ValueError: unknown name, or a module that does not exist.
    """
    target = table.get(name, name)
    if ":" not in target:
        raise ValueError(f"unknown {kind} {name!r}: give one of {', '.join(sorted(table))}, or your own as module:attribute")
    module = target.split(":", 1)[0]
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
            raise ValueError(f"{label}: unknown parameter {key!r}; it takes {', '.join(accepted) or 'none'}")
