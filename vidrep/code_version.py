"""A digest of the code that a rule's result depends on, for Snakemake's ``params``.

Snakemake sees changes of scripts and parameters but not of the modules that scripts import. The
digest covers a set of files and everything of the library that they import, directly or not, so
editing one model's file changes the digest of that model's runs alone. A file outside the library
(a study, a user's own model) is followed through whatever it imports from its package, or from
beside it; installed packages are followed no further than themselves. The registries of models and
objectives are left out: they map names to files, and the files that a system uses are given.
Docstrings, comments and layout do not count.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from vidrep.code_files import INSTALLED, package_of, root_of

# A folder from which modules are imported, and the one package in it that counts; None: all do.
Scope = tuple[Path, str | None]
LIBRARY = Path(__file__).parent
REGISTRIES = {LIBRARY / "models" / "__init__.py", LIBRARY / "objectives" / "__init__.py"}


@cache
def code_version(*files: str | Path) -> str:
    """Digest of ``files`` and the modules they import from the library and beside them."""
    digest = hashlib.sha256()
    # by content: where a checkout lies does not matter
    for content in sorted(_read(path)[0] for path in covered(*files)):
        digest.update(content)
    return digest.hexdigest()[:16]


def covered(*files: str | Path) -> set[Path]:
    """The files whose code a digest covers: ``files`` and the modules that they import."""
    pending = []
    for file in files:
        path = Path(file).resolve()
        pending.append((path, _scope(path)))
    seen = set()
    while pending:
        path, scope = pending.pop()
        if (path, scope) not in seen:
            seen.add((path, scope))
            _, names = _read(path)
            pending += _imported_files(names, scope)
    return {path for path, _ in seen}


@cache
def _read(path: Path) -> tuple[bytes, frozenset[str]]:
    """The code of a file without docstrings, and the modules that it imports anywhere in it."""
    tree = ast.parse(path.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree).encode(), frozenset(names)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """The module that ``from ... import`` names in the file ``path``, dots in front resolved."""
    package = package_of(path)
    if not node.level or package is None:
        return node.module or ""
    folder = path.parents[node.level - 1]
    parts = folder.relative_to(package.parent).parts
    return ".".join([*parts, node.module] if node.module else parts)


def _scope(path: Path) -> Scope:
    """Within what the imports of a file, and of those it imports, are followed."""
    root = root_of(path)
    if root.name not in INSTALLED:
        return root, None
    package = package_of(path)
    return root, path.stem if package is None else package.name


def _imported_files(names: Iterable[str], scope: Scope) -> list[tuple[Path, Scope]]:
    """Files of the modules ``names`` in the library and in ``scope``, each with its own scope.

    A name may also be that of a module's content.
    """
    library = (LIBRARY.parent, LIBRARY.name)
    found = []
    for name in names:
        parts = name.split(".")
        for root, package in (library, scope):
            if package in (None, parts[0]):
                base = root.joinpath(*parts)
                files = (base.with_suffix(".py"), base / "__init__.py")
                found += [(file, (root, package)) for file in files if file.is_file()]
    return [(file, within) for file, within in found if file not in REGISTRIES]
