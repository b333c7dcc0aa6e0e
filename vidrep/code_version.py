"""A digest of the code that a rule's result depends on, for Snakemake's ``params``.

Snakemake sees changes of scripts and parameters but not of the modules that scripts import. The
digest covers a set of files and everything of the library that they import, directly or not, so
editing one model's file changes the digest of that model's runs alone. A file that is part of
another package (a study, a package of the user's own) is followed through that package too. The
registries of models and objectives are left out: they map names to files, and the files that a
system uses are given. Docstrings, comments and layout do not count.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parent
REGISTRIES = {LIBRARY / "models" / "__init__.py", LIBRARY / "objectives" / "__init__.py"}


@cache
def code_version(*files: str | Path) -> str:
    """Digest of ``files`` and the library modules they import, transitively."""
    pending = [Path(file).resolve() for file in files]
    seen = set()
    while pending:
        path = pending.pop()
        if path not in seen:
            seen.add(path)
            pending += _read(path)[1]
    digest = hashlib.sha256()
    # by content: where a checkout lies does not matter
    for content in sorted(_read(path)[0] for path in seen):
        digest.update(content)
    return digest.hexdigest()[:16]


@cache
def _read(path: Path) -> tuple[bytes, list[Path]]:
    """The code of a file without docstrings, and the files that it imports anywhere in it."""
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
    return ast.dump(tree).encode(), _imported_files(names, path)


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """The module that ``from ... import`` names in the file ``path``, dots in front resolved."""
    package = _package(path)
    if not node.level or package is None:
        return node.module or ""
    folder = path.parents[node.level - 1]
    parts = folder.relative_to(package.parent).parts
    return ".".join([*parts, node.module] if node.module else parts)


def _imported_files(names: set[str], path: Path) -> list[Path]:
    """Files of the modules ``names`` in the library and in the package that ``path`` is part of.

    A name may also be that of a module's content.
    """
    packages = {LIBRARY.name: LIBRARY}
    own = _package(path)
    if own is not None:
        packages.setdefault(own.name, own)
    files = []
    for name in names:
        top, *parts = name.split(".")
        if top in packages:
            base = packages[top].joinpath(*parts)
            files += [base.with_suffix(".py"), base / "__init__.py"]
    return [file for file in files if file.is_file() and file not in REGISTRIES]


def _package(path: Path) -> Path | None:
    """The folder of the outermost package that a file is part of; None for a file outside all."""
    package = None
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        package = folder
    return package
