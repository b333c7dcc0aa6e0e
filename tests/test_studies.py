"""Studies use the library, never the other way round; their rules and scripts stand beside them."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import studies
from studies.fidelity import SOURCES, chosen_sources
from vidrep.code_version import code_version

ROOT = Path(__file__).parent.parent
STUDIES = sorted(file.parent.name for file in (ROOT / "studies").glob("*/rules.smk"))
LIBRARY_FILES = [
    file.relative_to(ROOT)
    for folder in ("vidrep", "scripts", "workflow")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in (".py", ".smk", ".yaml", ".rst")
]


def imported_packages(text: str) -> set[str]:
    """The top-level packages that Python code imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_nothing_of_the_library_imports_a_study():
    assert {str(file.parts[0]) for file in LIBRARY_FILES} == {"vidrep", "scripts", "workflow"}
    for file in LIBRARY_FILES:
        if file.suffix == ".py":
            assert "studies" not in imported_packages((ROOT / file).read_text()), file


def test_rules_of_the_workflow_know_of_no_study():
    """Rules are no plain Python: any line that names the package would be a use of it."""
    for file in LIBRARY_FILES:
        if file.suffix == ".smk":
            text = (ROOT / file).read_text()
            assert "studies." not in text and "studies/" not in text, file


def test_the_snakefile_includes_every_study():
    lines = (ROOT / "Snakefile").read_text().splitlines()
    named = [line for line in lines if "studies/" in line]
    assert STUDIES == ["fidelity", "measure_tests"]
    assert sorted(named) == [f'include: "studies/{name}/rules.smk"' for name in STUDIES]


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_runs_by_hand(name):
    command = [sys.executable, "-m", f"studies.{name}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert f"usage: python -m studies.{name}" in done.stdout


def test_sources_are_chosen_by_name():
    assert chosen_sources() == list(SOURCES)
    assert chosen_sources(["tcc", "capsules"]) == ["capsules", "tcc"]
    with pytest.raises(ValueError, match=r"unknown source 'capsule'; give some of capsules$"):
        chosen_sources(["capsule"])


def test_a_study_depends_on_its_own_modules(tmp_path):
    """An edit of a study's module changes the digest of its script; one of another study's not."""
    files = {
        "one/__init__.py": "",
        "one/__main__.py": "def main():\n    from studies.one.work import VALUE\n",
        "one/work.py": "VALUE = 1\n",
        "two/work.py": "VALUE = 1\n",
        "__init__.py": "",
    }
    for value in (1, 2):
        for edited in ("one/work.py", "two/work.py"):
            root = tmp_path / f"{value}{edited[:3]}" / "studies"
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                changed = text.replace("1", str(value)) if name == edited else text
                (root / name).write_text(changed)
    digests = {
        folder.name: code_version(folder / "studies" / "one" / "__main__.py")
        for folder in tmp_path.iterdir()
    }
    assert digests["1one"] == digests["1two"] == digests["2two"] != digests["2one"]


def test_every_module_of_a_study_can_be_imported():
    for module in pkgutil.walk_packages(studies.__path__, "studies."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
