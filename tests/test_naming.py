"""From names to objects: the library's tables, users' own modules, and errors in one line that name
the thing.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from vidrep import command_line, models
from vidrep.naming import check_arguments, class_constant, resolve, source_file
from vidrep.objectives import OBJECTIVES
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build

TABLE = {"path": "pathlib:Path", "broken": "pathlib:NoPath"}
OWN_MODEL = """
from torch import nn

class Net(nn.Module):
    inputs = ("clip",)
    layers = ("flat",)

    def __init__(self, clip_shape, *, units=3):
        super().__init__()
        channels, frames, height, width = clip_shape
        pixels = channels * frames * height * width
        self.flat = nn.Sequential(nn.Flatten(), nn.Linear(pixels, units))

    def forward(self, clip):
        return self.flat(clip)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a module of the user's onto the Python path; it is forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def write(name: str, text: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text and text
    return text


def test_names_of_the_table_and_own_names():
    assert resolve("path", TABLE, "thing") is Path
    assert (
        resolve("collections:OrderedDict", TABLE, "thing") is __import__("collections").OrderedDict
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tree", "unknown thing 'tree': give one of broken, path, or your own as module:attribute"),
        (
            "nowhere_to_be:Found",
            "thing 'nowhere_to_be:Found': there is no module 'nowhere_to_be' on the Python path",
        ),
        (
            "xml.nowhere:Found",
            "thing 'xml.nowhere:Found': there is no module 'xml.nowhere' on the Python path",
        ),
        ("pathlib:NoPath", "thing 'pathlib:NoPath': module pathlib has no 'NoPath'"),
        ("broken", "thing 'broken': module pathlib has no 'NoPath'"),
    ],
)
def test_what_does_not_exist_is_named(name, message):
    with pytest.raises(ValueError) as error:
        resolve(name, TABLE, "thing")
    assert one_line(error) == message


def test_a_module_that_lacks_a_dependency_is_not_called_missing(own):
    own("needs_more", "import surely_not_installed\n")
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        resolve("needs_more:Net", TABLE, "model")


def test_own_model_in_an_objective_of_the_library(own):
    own("own_video_net", OWN_MODEL)
    definition = {
        "model": "own_video_net:Net",
        "params": {"units": 5},
        "objective": "classification",
        "objective_params": {},
    }
    objective = build(definition, DataShape((1, 2, 4, 4), 3, True))
    assert objective.heads["all"].weight.shape == (6, 5)
    with pytest.raises(
        ValueError, match="model 'own_video_net:Net': unknown parameter 'width'; it takes units"
    ):
        build({**definition, "params": {"width": 5}}, DataShape((1, 2, 4, 4), 3, True))


def test_own_objective_for_a_model_of_the_library(own):
    own(
        "own_task",
        "from vidrep.objectives.base import Objective\nclass Task(Objective):\n    stages ="
        " ('only',)\n",
    )
    definition = {
        "model": "pixels",
        "params": {},
        "objective": "own_task:Task",
        "objective_params": {},
    }
    objective = build(definition, DataShape((1, 2, 4, 4), 3, True))
    assert objective.stages == ("only",) and isinstance(objective.model, nn.Module)
    with pytest.raises(ValueError) as error:
        build({**definition, "objective_params": {"weight": 2}}, DataShape((1, 2, 4, 4), 3, True))
    assert one_line(error) == "objective 'own_task:Task': unknown parameter 'weight'; it takes none"


def test_source_files_are_found_without_importing_them(own):
    path = own("own_unread_net", "raise RuntimeError('imported')\n")
    nested = own("own_package/deep_net", "raise RuntimeError('imported')\n")
    own("own_package/__init__", "")
    assert source_file("own_unread_net:Net", models.MODELS, "model") == path
    assert source_file("own_package.deep_net:Net", models.MODELS, "model") == nested
    assert "own_unread_net" not in sys.modules and "own_package.deep_net" not in sys.modules
    assert source_file("c3d", models.MODELS, "model") == Path(models.__file__).parent / "c3d.py"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tree", "unknown thing 'tree': give one of broken, path, or your own as module:attribute"),
        (
            "nowhere_to_be:Found",
            "thing 'nowhere_to_be:Found': there is no module 'nowhere_to_be' on the Python path",
        ),
        (
            "nowhere.to.be:Found",
            "thing 'nowhere.to.be:Found': there is no module 'nowhere.to.be' on the Python path",
        ),
        # built in: it has no file
        ("sys:path", "thing 'sys:path': there is no module 'sys' on the Python path"),
    ],
)
def test_source_files_of_nothing(name, message):
    with pytest.raises(ValueError) as error:
        source_file(name, TABLE, "thing")
    assert one_line(error) == message


def test_class_constants_are_read_without_importing(own):
    own(
        "own_stages",
        """
from own_parent import Parent as Base
from torch.nn import Module
raise RuntimeError("imported")
class Plain: stages = ("one", "two")
class Noted: stages: tuple[str, ...] = ("one",)
class Child(Plain): pass
class Mixed(Module, Base): pass
class Computed:
    stages = tuple("ab")
class Property:
    @property
    def stages(self): return ()
class Set(Plain):
    def __init__(self, count): self.stages = ("x",) * count
class Unknown(Module): pass
""",
    )
    own(
        "own_parent",
        "from vidrep.objectives.classification import Classification\nclass Parent(Classification):"
        " pass\n",
    )
    own("own_room/__init__", "")
    own("own_room/task", "from .base import Base\nclass Task(Base): pass\n")
    own("own_room/base", "class Base: stages = ('deep',)\n")
    expected = {
        "Plain": ("one", "two"),
        "Noted": ("one",),
        "Child": ("one", "two"),
        "Mixed": ("train",),
        "Computed": None,
        "Property": None,
        "Set": None,
        "Unknown": None,
        "Missing": None,
    }
    assert {name: class_constant(f"own_stages:{name}", "stages") for name in expected} == expected
    assert class_constant("own_room.task:Task", "stages") == ("deep",)
    assert class_constant("no_such_module:Task", "stages") is None
    assert not {"own_stages", "own_parent", "own_room.task"} & set(sys.modules)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_stages_read_are_those_of_the_class(name):
    assert (
        class_constant(OBJECTIVES[name], "stages") == resolve(name, OBJECTIVES, "objective").stages
    )


def test_arguments_are_checked_by_name():
    def target(first, *, width=1, depth=2):
        pass

    def anything(first, **params):
        pass

    check_arguments(target, {"width": 1}, "it", given=1)
    check_arguments(anything, {"whatever": 1}, "it", given=1)
    with pytest.raises(ValueError) as error:
        check_arguments(target, {"width": 1, "hight": 3}, "model 'x'", given=1)
    assert one_line(error) == "model 'x': unknown parameter 'hight'; it takes width, depth"
    with pytest.raises(ValueError, match="unknown parameter 'first'"):
        check_arguments(target, {"first": 1}, "it", given=1)


@pytest.mark.parametrize("error", [ValueError("bad\n  input"), FileNotFoundError("bad input")])
def test_scripts_end_in_one_line_for_errors_the_user_can_mend(error):
    def main():
        raise error

    with pytest.raises(SystemExit) as left:
        command_line.run(main)
    assert left.value.code == "error: bad input"  # Python prints a text and exits with status 1


def test_scripts_keep_the_traceback_of_our_own_bugs():
    def main():
        raise KeyError("bug")

    with pytest.raises(KeyError):
        command_line.run(main)


def test_reading_an_experiment_imports_no_torch():
    code = (
        "import sys, yaml; from vidrep import config, code_version, experiment, objectives,"
        " models;from vidrep.training import gpu_slots; from vidrep.naming import"
        " source_file;[source_file(e['model'], models.MODELS, 'model') for e in"
        " experiment.catalogue().values()];[config._check_stages(experiment.system(name)) for name"
        " in experiment.catalogue()];print(sorted({'torch', 'numpy', 'zarr', 'h5py', 'sklearn'} &"
        " set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(models.__file__).parents[2],
    )
    assert done.stdout == "[]\n"
