"""From a name in the configuration to the object it names: a table entry or a user's
``module:attribute``.
"""

import ast
import importlib
import importlib.util
import inspect
from functools import cache
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
        raise ValueError(
            f"unknown {kind} {name!r}: give one of {', '.join(sorted(table))}, or your own as"
            " module:attribute"
        )
    module_name, attribute = target.split(":", 1)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and not module_name.startswith(error.name):
            raise
        raise ValueError(
            f"{kind} {name!r}: there is no module {error.name!r} on the Python path"
        ) from None
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
        raise ValueError(
            f"unknown {kind} {name!r}: give one of {', '.join(sorted(table))}, or your own as"
            " module:attribute"
        )
    module = target.split(":", 1)[0]
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # a parent package is missing
        spec = None
    if spec is None or not spec.has_location:
        raise ValueError(f"{kind} {name!r}: there is no module {module!r} on the Python path")
    return Path(spec.origin)


@cache
def class_constant(target: str, attribute: str):
    """The literal that a class assigns to ``attribute``, or inherits, read from source files
    without importing them.

    Args:
        target: ``module:Class``.
        attribute: name of the class attribute.

    Returns:
        The value; None where reading alone cannot tell it: no such class, or an attribute that is
        computed or set on instances.
    """
    module, name = target.split(":", 1)
    try:
        tree = ast.parse(source_file(target, {}, "class").read_text())
    except ValueError:
        return None
    found = next(
        (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None
    )
    if found is None or any(
        isinstance(n, ast.Attribute) and n.attr == attribute for n in map(_stored, ast.walk(found))
    ):
        return None
    for node in found.body:
        if attribute in (getattr(node, "name", None), getattr(_stored(node), "id", None)):
            try:
                return ast.literal_eval(node.value)
            except (AttributeError, TypeError, ValueError):
                # a property, a mere annotation, an expression
                return None
    values = (class_constant(base, attribute) for base in _bases(found, tree, module))
    return next((value for value in values if value is not None), None)


def _stored(node: ast.AST) -> ast.expr | None:
    """What a plain or annotated assignment assigns to."""
    return node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)


def _bases(found: ast.ClassDef, tree: ast.Module, module: str) -> list[str]:
    """The bases of a class as ``module:Class``, but for those in packages of others: finding their
    files would import these.
    """
    places = {
        node.name: f"{module}:{node.name}" for node in tree.body if isinstance(node, ast.ClassDef)
    }
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            package = module.rpartition(".")[0]
            origin = (
                importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                if node.level
                else node.module
            )
            if "." not in origin or origin.split(".")[0] in ("vidrep", module.split(".")[0]):
                places |= {
                    alias.asname or alias.name: f"{origin}:{alias.name}" for alias in node.names
                }
    return [
        places[base.id] for base in found.bases if isinstance(base, ast.Name) and base.id in places
    ]


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
