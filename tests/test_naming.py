"""From names to objects: registries, users' own modules, and errors in one line."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from vidrep import command_line, models, objectives
from vidrep.naming import Declared, check_arguments, resolve, source_file
from vidrep.objectives import OBJECTIVES
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build

TABLE = {"path": Declared("pathlib:Path"), "broken": Declared("pathlib:NoPath")}
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
        (
            "tree",
            "unknown thing 'tree': give one of broken, path (or your own as"
            " module:attribute or file.py:attribute)",
        ),
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


@pytest.mark.parametrize(
    ("traits", "kind"), [(models.traits, "model"), (objectives.traits, "objective")]
)
def test_before_the_first_job_it_is_one_line_nevertheless(own, traits, kind):
    own("needs_more", "import surely_not_installed\n")
    with pytest.raises(ValueError) as error:
        traits("needs_more:Net")
    reason = "No module named 'surely_not_installed'"
    assert one_line(error) == f"{kind} 'needs_more:Net' cannot be imported: {reason}"


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
        (
            "tree",
            "unknown thing 'tree': give one of broken, path (or your own as"
            " module:attribute or file.py:attribute)",
        ),
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


@pytest.mark.parametrize("name", OBJECTIVES)
def test_declared_traits_of_objectives_are_those_of_their_classes(name):
    declared = objectives.traits(name)
    assert declared == objectives.traits(declared.place)
    assert declared.stages == resolve(name, OBJECTIVES, "objective").stages


@pytest.mark.parametrize("name", models.names())
def test_declared_traits_of_models_are_those_of_their_classes(name):
    declared = models.traits(name)
    assert declared == models.traits(declared.place)
    network = resolve(name, models.MODELS, "model")
    reads_stacks = "flow" in declared.inputs and "stack" in inspect.signature(network).parameters
    assert (declared.flow_stack is not None) == reads_stacks


def test_traits_of_own_models(own):
    own(
        "own_traits",
        """
class Plain:
    inputs = ("clip",)
class Weights(Plain):
    def load_pretrained(self, state, source): pass
class Stacks:
    inputs = ("clip", "flow")
    stacks_flow = True
    def __init__(self, clip_shape, *, stack=4, bidirectional=False): pass
class Unsaid:
    def __init__(self, clip_shape): self.inputs = ("flow",)
class Computed:
    @property
    def inputs(self): return ("flow",)
class NoStack:
    stacks_flow = True
class NoDefault:
    stacks_flow = True
    def __init__(self, clip_shape, *, stack): pass
def function(clip_shape): return Plain()
""",
    )

    def traits(attribute):
        return models.traits(f"own_traits:{attribute}")

    assert traits("Plain") == models.ModelTraits("own_traits:Plain", ("clip",))
    assert traits("Weights") == models.ModelTraits("own_traits:Weights", ("clip",), True)
    stacks = traits("Stacks")
    assert stacks == models.ModelTraits("own_traits:Stacks", ("clip", "flow"), flow_stack=4)
    assert stacks.inputs_with({}) == ("clip", "flow")
    assert stacks.inputs_with({"bidirectional": True}) == ("clip", "flow", "flow_backward")
    assert traits("Unsaid").inputs is traits("Computed").inputs is traits("function").inputs is None
    for name in ("NoStack", "NoDefault"):
        with pytest.raises(ValueError, match=f"model own_traits:{name}: stacks_flow is True"):
            traits(name)
    with pytest.raises(ValueError, match="module own_traits has no 'Missing'"):
        traits("Missing")


def test_traits_of_own_objectives(own):
    own(
        "own_objectives",
        """
from vidrep.objectives.base import Objective
from vidrep.objectives.reconstruction import Reconstruction
class Plain(Objective): stages = ("one", "two")
class Child(Plain): pass
class Generates(Reconstruction): pass
class Computed:
    @property
    def stages(self): return ()
    @property
    def generates(self): return False
class Unsaid: pass
""",
    )
    own("own_room/__init__", "")
    own("own_room/task", "from .base import Base\nclass Task(Base): pass\n")
    own("own_room/base", "class Base: stages = ('deep',)\n")
    expected = {
        "own_objectives:Plain": (("one", "two"), False),
        "own_objectives:Child": (("one", "two"), False),
        "own_objectives:Generates": (("train",), True),
        "own_objectives:Computed": (None, False),
        "own_objectives:Unsaid": (None, False),
        "own_room.task:Task": (("deep",), False),
    }
    for name, (stages, generates) in expected.items():
        traits = objectives.traits(name)
        assert (traits.stages, traits.generates) == (stages, generates), name


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
    code = """
import sys
from vidrep import code_version, config, experiment, models, objectives, systems
from vidrep.naming import source_file
from vidrep.training import gpu_slots

for name in systems.catalogue():
    system = systems.system(name)
    source_file(system.model, models.MODELS, "model")
    source_file(system.objective, objectives.OBJECTIVES, "objective")
    models.traits(system.model)
    objectives.traits(system.objective)
print(sorted({"torch", "numpy", "zarr", "h5py", "sklearn"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(models.__file__).parents[2],
    )
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_jobs_import_what_they_use_alone():
    """Of a default run imports once took more CPU seconds than training steps."""
    code = """
import sys
import vidrep.training.run, vidrep.training.split
heavy = {"pandas", "scipy", "zarr", "torch._dynamo", "matplotlib", "sklearn"}
print(sorted(heavy & set(sys.modules)))
del sys.modules["torch"]
import vidrep.similarity.files, vidrep.similarity.engine
print(sorted((heavy | {"torch"}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"
