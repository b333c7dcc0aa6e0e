"""Digests of code: they follow imports, ignore words and layout, and keep systems apart."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vidrep import code_version, models, objectives, systems
from vidrep.naming import source_file

ROOT = Path(__file__).parent.parent


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A small library that stands in for ours: train -> loop -> base, and two models."""
    folder = tmp_path / "vidrep"
    files = {
        "vidrep/__init__.py": "",
        "vidrep/models/__init__.py": "from vidrep.models import plain\nMODELS = {}\n",
        "vidrep/models/plain.py": "from vidrep.models.blocks import block\nWIDTH = 1\n",
        "vidrep/models/fancy.py": "import vidrep.models.blocks\nWIDTH = 2\n",
        "vidrep/models/blocks.py": "def block():\n    return 1\n",
        "vidrep/objectives/__init__.py": "OBJECTIVES = {}\n",
        "vidrep/training/__init__.py": "from vidrep.training import loop\n",
        "vidrep/training/loop.py": "import os\nfrom vidrep import base\nRATE = 1\n",
        "vidrep/base.py": (
            'SIZE = 3\n\n\ndef double(x):\n    """Twice."""\n    return 2 * x  # twice\n'
        ),
        "vidrep/unused.py": "X = 1\n",
        "train.py": (
            "def main():\n    from vidrep.training.loop import RATE\n    from vidrep import"
            " models\n"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    use_library(monkeypatch, folder)
    return tmp_path


def use_library(monkeypatch, folder: Path) -> None:
    monkeypatch.setattr(code_version, "LIBRARY", folder)
    registries = {folder / "models" / "__init__.py", folder / "objectives" / "__init__.py"}
    monkeypatch.setattr(code_version, "REGISTRIES", registries)


def forget() -> None:
    """Drop what was read, as in a new process."""
    for function in (code_version._read, code_version.code_version):
        function.cache_clear()


def digest(*files: Path) -> str:
    forget()
    return code_version.code_version(*files)


def after(root: Path, name: str, old: str, new: str, *files: str) -> bool:
    """Does the digest of ``files`` change when ``old`` becomes ``new`` in the file ``name``?"""
    paths = [root / file for file in files]
    before = digest(*paths)
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))
    changed = digest(*paths) != before
    (root / name).write_text(text)
    assert digest(*paths) == before
    return changed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# twice", "# two times"),
        ('"""Twice."""', '"""Two times x."""'),
        ('    """Twice."""\n', ""),
        ("return 2 * x", "return (2\n            * x)"),
        ("SIZE = 3", '"""A module."""\n\nSIZE  =  3'),
    ],
)
def test_words_and_layout_do_not_count(library, old, new):
    assert not after(library, "vidrep/base.py", old, new, "train.py")


@pytest.mark.parametrize(
    ("old", "new"),
    [("SIZE = 3", "SIZE = 4"), ("2 * x", "x * 2"), ('"""Twice."""', "x += 1"), ("double", "twice")],
)
def test_code_counts_through_all_imports(library, old, new):
    assert after(library, "vidrep/base.py", old, new, "train.py")


@pytest.mark.parametrize(
    ("name", "old", "counts"),
    [
        ("train.py", "RATE", True),
        ("vidrep/training/loop.py", "RATE = 1", True),
        ("vidrep/unused.py", "X = 1", False),
        ("vidrep/models/__init__.py", "MODELS", False),
        ("vidrep/objectives/__init__.py", "OBJECTIVES", False),
        ("vidrep/models/plain.py", "WIDTH", True),
        ("vidrep/models/fancy.py", "WIDTH", False),
        ("vidrep/models/blocks.py", "return 1", True),
    ],
)
def test_what_a_run_depends_on(library, name, old, counts):
    assert after(library, name, old, f"{old}0", "train.py", "vidrep/models/plain.py") == counts


def test_relative_imports_within_a_package_of_ones_own_count(library):
    files = {
        "own/__init__.py": "",
        "own/nets/__init__.py": "",
        "own/nets/net.py": "from .layers import layer\nfrom .. import sizes\n",
        "own/nets/layers.py": "DEPTH = 1\n",
        "own/sizes.py": "WIDTH = 1\n",
        "own/unused.py": "X = 1\n",
    }
    for name, text in files.items():
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text(text)
    assert after(library, "own/nets/layers.py", "DEPTH", "HEIGHT", "own/nets/net.py")
    assert after(library, "own/sizes.py", "WIDTH", "HEIGHT", "own/nets/net.py")
    assert not after(library, "own/unused.py", "X", "Y", "own/nets/net.py")


def test_order_and_repetition_of_files_do_not_count(library):
    one = library / "train.py"
    two = library / "vidrep/models/plain.py"
    assert digest(one, two) == digest(two, one) == digest(one, two, one)
    assert digest(one) != digest(two)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the real library and scripts, to be edited."""
    for folder in ("vidrep", "scripts"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    use_library(monkeypatch, tmp_path / "vidrep")
    return tmp_path


def system_digests(root: Path) -> dict[str, str]:
    """What the training rule passes for each system of the catalogue."""
    forget()
    digests = {}
    for name, entry in systems.catalogue().items():
        model = source_file(entry["model"], models.MODELS, "model").relative_to(ROOT)
        objective = source_file(entry["objective"], objectives.OBJECTIVES, "objective").relative_to(
            ROOT
        )
        digests[name] = code_version.code_version(
            root / "scripts" / "train.py", root / model, root / objective
        )
    return digests


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "\nEDITED = True\n")


def built_on(*names: str) -> set[str]:
    """Systems of the catalogue whose model is one of ``names``."""
    return {system for system, entry in systems.catalogue().items() if entry["model"] in names}


@pytest.mark.parametrize(
    ("file", "touched"),
    [
        ("models/c3d.py", built_on("c3d")),
        ("models/two_stream.py", built_on("two_stream", "temporal_stream")),
        ("models/flow_stacks.py", built_on("two_stream", "temporal_stream")),
        ("models/__init__.py", set()),
        ("objectives/__init__.py", set()),
        ("objectives/frames_then_sequence.py", {"cnn_lstm_small", "cnn_lstm_narrow"}),
        ("report/style.py", set()),
        ("experiment.py", set()),
        ("config/sections.py", set()),
        ("training/loop.py", set(systems.catalogue())),
    ],
)
@pytest.mark.slow
def test_an_edit_touches_the_runs_that_use_it(copy, file, touched):
    before = system_digests(copy)
    edit(copy / "vidrep" / file)
    after = system_digests(copy)
    assert {name for name in before if before[name] != after[name]} == touched


def test_a_further_kind_of_data_sets_makes_no_rendered_clips_stale(copy):
    behind = copy / "scripts/render_dataset.py", copy / "vidrep/datasets/render.py"
    before = digest(*behind)
    for name in ("declared.py", "kind.py", "links.py", "rendered.py"):
        edit(copy / "vidrep/datasets" / name)
    assert digest(*behind) == before
    edit(copy / "vidrep/datasets/bouncing.py")
    assert digest(*behind) != before


def test_the_digest_is_the_same_in_every_process():
    code = (
        "import sys; from vidrep.code_version import code_version; print(code_version(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(ROOT / "scripts" / "train.py")]
    runs = [
        subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] and len(runs[0].strip()) == 16
