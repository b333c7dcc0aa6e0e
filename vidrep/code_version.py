"""A digest of the code that a rule's result depends on, for Snakemake's ``params``.

Snakemake sees changes of scripts and parameters but not of the modules that scripts import. The digest covers a set of files and
everything of the library that they import, directly or not, so editing one model's file changes the digest of that model's runs
alone. The registries of models and objectives are left out: they map names to files, and the files that a system uses are given.
Docstrings, comments and layout do not count.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parent
REGISTRIES = {LIBRARY / "models" / "__init__.py", LIBRARY / "objectives" / "__init__.py"}


def code_version(*files: str | Path) -> str:
    """Digest of ``files`` and the library modules they import, transitively."""
    pending, seen = [Path(file).resolve() for file in files], set()
    while pending:
        path = pending.pop()
        if path not in seen:
            seen.add(path)
            pending += _imports(path)
    digest = hashlib.sha256()
    for content in sorted(map(_normalised, seen)):  # by content: where a checkout lies does not matter
        digest.update(content)
    return digest.hexdigest()[:16]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _normalised(path: Path) -> bytes:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree).encode()


@cache
def _imports(path: Path) -> list[Path]:
    """Files of the library that ``path`` imports anywhere in it."""
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    files = []
    for name in names:
        if name == LIBRARY.name or name.startswith(f"{LIBRARY.name}."):
            base = LIBRARY.joinpath(*name.split(".")[1:])
            files += [
                file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file() and file not in REGISTRIES
            ]
    return files
