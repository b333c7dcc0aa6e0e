"""Networks of a user's own: named by file, imported, followed in digests, frozen."""

import sys
from pathlib import Path

import pytest
import torch

from vidrep import code_version, models
from vidrep.config import check, complete
from vidrep.naming import resolve_own, source_file
from vidrep.own_models import check_networks, open_network
from vidrep.runs import UNTRAINED, Run
from vidrep.systems import system

NETWORK = """
from torch import nn

from blocks import dense

class Net(nn.Module):
    inputs = ("clip",)
    layers = ("hidden",)

    def __init__(self, clip_shape, *, units=3):
        super().__init__()
        channels, frames, height, width = clip_shape
        self.hidden = dense(channels * frames * height * width, units)

    def forward(self, clip):
        return self.hidden(clip)
"""
BLOCKS = """
from torch import nn

def dense(inputs, units):
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, units))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a network in ``nets/mine.py``; what is imported there is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets/mine.py").write_text(NETWORK)
    (tmp_path / "nets/blocks.py").write_text(BLOCKS)
    yield tmp_path
    models.traits.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def one_line(error) -> str:
    text = str(error.value)
    assert text and "\n" not in text
    return text


# --- Names. ---


@pytest.mark.parametrize("absolute", [False, True])
def test_a_network_is_named_by_its_file(folder, absolute):
    path = folder / "nets/mine.py" if absolute else Path("nets/mine.py")
    network = models.create(f"{path}:Net", clip_shape=(1, 2, 4, 4), units=5)
    assert network(torch.zeros(2, 1, 2, 4, 4)).shape == (2, 5)
    assert source_file(f"{path}:Net", models.MODELS, "model") == path
    assert models.traits(f"{path}:Net").inputs == ("clip",)


def test_what_is_no_module_is_one_line(folder):
    (folder / "nets/other.py").write_text("def make(clip_shape):\n    return 1\n")
    with pytest.raises(ValueError, match=r"'nets/other.py:make': it makes a int, no torch module"):
        models.create("nets/other.py:make", clip_shape=(1, 2, 4, 4))


def test_a_file_within_a_package_keeps_its_relative_imports(folder):
    (folder / "nets/__init__.py").write_text("")
    (folder / "nets/mine.py").write_text(NETWORK.replace("from blocks", "from .blocks"))
    network = models.create("nets/mine.py:Net", clip_shape=(1, 2, 4, 4))
    assert type(network).__module__ == "nets.mine"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nets/none.py:Net", None, "no file nets/none.py (paths are relative to the working"),
        ("nets/mine.py:Nett", None, "module nets/mine.py has no 'Nett'"),
        ("nets/bad.py:Net", "def f(:", "cannot be imported: SyntaxError: "),
        ("nets/bad.py:Net", "x = 1 / 0", "cannot be imported: ZeroDivisionError: division by"),
        ("nets/bad.py:Net", "import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("nets/types.py:Net", "", "another module is called types"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(folder, name, text, message):
    if text is not None:
        (folder / name.split(":")[0]).write_text(text)
    with pytest.raises(ValueError) as error:
        resolve_own(name, models.MODELS, "model")
    assert message in one_line(error)


# --- Digests. ---


@pytest.mark.parametrize("package", [False, True])
def test_helpers_beside_a_network_are_in_its_digest(folder, package):
    """Without this an edited helper left trained runs as they were."""
    (folder / "nets/deep").mkdir()
    (folder / "nets/deep/norms.py").write_text("EPSILON = 1\n")
    (folder / "nets/unused.py").write_text("X = 1\n")
    (folder / "nets/blocks.py").write_text("import deep.norms\n" + BLOCKS)
    if package:
        (folder / "nets/__init__.py").write_text("")
        (folder / "nets/mine.py").write_text(NETWORK.replace("from blocks", "from nets.blocks"))
        (folder / "nets/blocks.py").write_text("import nets.deep.norms\n" + BLOCKS)

    def digest() -> str:
        code_version._read.cache_clear()
        code_version.code_version.cache_clear()
        return code_version.code_version(folder / "nets/mine.py")

    found = [digest()]
    for name in ("blocks", "deep/norms"):
        path = folder / f"nets/{name}.py"
        path.write_text(path.read_text() + "EDITED = 1\n")
        found.append(digest())
    assert len(set(found)) == 3
    (folder / "nets/unused.py").write_text("X = 2\n")
    assert digest() == found[-1]


def test_an_installed_package_is_not_followed_into_others(tmp_path):
    site = tmp_path / "site-packages"
    for package, text in (("ours", "import theirs\nimport ours.part\n"), ("theirs", "X = 1\n")):
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text(text)
    (site / "ours/part.py").write_text("X = 1\n")

    def changes(name: str) -> bool:
        digests = []
        for text in ("X = 2\n", "X = 3\n"):
            (site / name).write_text(text)
            code_version._read.cache_clear()
            code_version.code_version.cache_clear()
            digests.append(code_version.code_version(site / "ours/__init__.py"))
        return digests[0] != digests[1]

    assert changes("ours/part.py")
    assert not changes("theirs/__init__.py")


# --- Frozen networks. ---

FROZEN = {"name": "frozen", "model": "nets/mine.py:Net", "weights": "w.pt", "train": False}


def test_a_frozen_network_has_runs_and_no_training(folder):
    (folder / "w.pt").write_bytes(b"weights")
    experiment = check(complete({"systems": ["c3d_narrow", FROZEN]}))
    frozen = experiment.systems["frozen"]
    assert frozen.objective == "none" and frozen.recipe["epochs"] == []
    runs = [run for run in experiment.runs() if run.system == "frozen"]
    assert {run.seed for run in runs} == {0, UNTRAINED}
    # the same network on every data set: no versions of it, trained on other data
    first, *others = experiment.groups()[0]
    assert others and {run.dataset for run in runs} == {first}
    for name in (first, *others):
        assert Run(first, "frozen", 0) in experiment.evaluated_on(name)
    data = experiment.made_for(frozen)[0]
    assert experiment.initial_weights(Run(data, "frozen", 0)) == ["w.pt"]
    assert experiment.initial_weights(Run(data, "frozen", UNTRAINED)) == []


def test_a_system_of_the_catalogue_may_be_frozen():
    entry = {"name": "mobilenet_v2_late", "weights": "w.npz", "train": False}
    frozen = system(entry)
    assert frozen.objective == "none" and frozen.params["fusion"] == "late"
    trained = system({**entry, "train": True})
    assert trained == system({"name": "mobilenet_v2_late", "weights": "w.npz"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "classification"}, "frozen.objective: with train: false nothing is trained"),
        ({"recipe": {"lr": 1.0}}, "frozen.recipe: with train: false nothing is trained"),
        ({"weights": None}, "frozen.train: false wants weights"),
        ({"seeds": [0, 1]}, "frozen.seeds: [0, 1]; with train: false all seeds would be the same"),
    ],
)
def test_what_a_frozen_network_cannot_have(changes, message):
    with pytest.raises(ValueError) as error:
        system({**FROZEN, **changes})
    assert message in one_line(error)


# --- Building and checking. ---


def test_a_network_is_opened_with_its_weights(folder):
    torch.manual_seed(3)
    trained = models.create("nets/mine.py:Net", clip_shape=(1, 2, 4, 4))
    torch.save({"model": trained.state_dict()}, folder / "w.pt")
    network = open_network("nets/mine.py:Net", clip_shape=(1, 2, 4, 4), weights="w.pt")
    clip = torch.rand(2, 1, 2, 4, 4)
    assert not network.training and torch.equal(network(clip), trained(clip))
    chosen = open_network("nets/mine.py:Net", clip_shape=(1, 2, 4, 4), layers=["hidden.0"])
    assert chosen.layers == ("hidden.0",)
    with pytest.raises(ValueError, match="model Net lists layers it does not have: hiden"):
        open_network("nets/mine.py:Net", clip_shape=(1, 2, 4, 4), layers=["hiden"])


LOADED = """
import torch
from mine import Net

class Loaded(Net):
    def __init__(self, clip_shape):
        super().__init__(clip_shape)
        self.load_state_dict(torch.load("w.pt"))
"""


def test_the_check_of_a_configuration_builds_ones_own_networks(folder):
    (folder / "w.pt").touch()
    config = complete({"systems": [FROZEN], "datasets": ["digits_only"]})
    experiment = check(config)
    shape = experiment.sets["digits_only"].shape
    state = models.create("nets/mine.py:Net", clip_shape=shape).state_dict()
    torch.save(state, folder / "w.pt")
    check_networks(experiment)

    torch.save({"hidden.1.weight": state["hidden.1.weight"]}, folder / "w.pt")
    with pytest.raises(ValueError, match=r"w\.pt does not fit the network: missing hidden.1.bias$"):
        check_networks(experiment)

    torch.save(state, folder / "w.pt")
    (folder / "nets/loaded.py").write_text(LOADED)
    entry = {**FROZEN, "model": "nets/loaded.py:Loaded"}
    experiment = check(complete({"systems": [entry], "datasets": ["digits_only"]}))
    with pytest.raises(ValueError) as error:
        check_networks(experiment)
    assert one_line(error).startswith(
        "config key systems, frozen: model 'nets/loaded.py:Loaded': 100% of its weights are the"
    )
