"""Files of Python code that the configuration names: their module, their root, their import."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

INSTALLED = ("site-packages", "dist-packages")


def package_of(path: Path) -> Path | None:
    """The folder of the outermost package that a file is part of; None for a file outside all."""
    package = None
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            break
        package = folder
    return package


def root_of(path: Path) -> Path:
    """The folder from which a file's modules are imported: that of its package, or its own."""
    package = package_of(path)
    return path.parent if package is None else package.parent


def import_file(path: Path) -> ModuleType:
    """The module in a file, imported as if Python had been started beside it.

    Modules beside the file, or beside its outermost package, can be imported by name from then on.

    Raises:
        ValueError: another module has its name.
        OSError: there is no such file.
    """
    path = path.resolve(strict=True)
    root = root_of(path)
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    known = sys.modules.get(name)
    if known is not None:
        place = getattr(known, "__file__", None)
        if place is None or Path(place).resolve() != path:
            raise ValueError(
                f"{path}: another module is called {name} ({place or 'built in'}); rename the file"
            )
        return known
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
        importlib.invalidate_caches()
    if root != path.parent:
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
