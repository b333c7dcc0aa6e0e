"""``python -m vidrep extract``: activations of anybody's network on clips of the pipeline."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr

from vidrep.activations.any_model import build_any, extract_model
from vidrep.activations.pooling import parse_policy
from vidrep.activations.store import open_store
from vidrep.datasets.store import open_clips, write_clips
from vidrep.similarity.external import import_activations
from vidrep.similarity.sources import open_sources
from vidrep.splits import SplitFiles
from vidrep.training.device import choose

CLIPS = 60  # more than a batch
NETWORK = """
import torch
from torch import nn


class Net(nn.Module):
    '''Keeps to nothing but that it takes clips.'''

    def __init__(self, units=5):
        super().__init__()
        torch.manual_seed(units)
        self.stem = nn.Conv3d(1, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.out = nn.Linear(2, units)

    def forward(self, clip):
        maps = self.relu(self.stem(clip))
        return self.out(maps.mean((2, 3, 4)))


class Sized(Net):
    def __init__(self, clip_shape):
        super().__init__(units=clip_shape[1])


class Colour(Net):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv3d(3, 2, 3)


ready = Net(units=4)
number = 3
"""


@pytest.fixture
def files(tmp_path, monkeypatch) -> SplitFiles:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    (tmp_path / "mine.py").write_text(NETWORK)
    draw = np.random.default_rng(0)
    content = {
        "clips": draw.integers(256, size=(CLIPS, 4, 6, 6), dtype=np.uint8),
        "labels": np.ones((CLIPS, 1), np.uint8),
        "factors": {},
    }
    attrs = {"dataset": "moving", "split": "test", "classes": ["0"], "multi_label": True}
    write_clips(tmp_path / "test.h5", content, attrs)
    yield SplitFiles(tmp_path / "test.h5")
    sys.modules.pop("mine", None)


def extract(files: SplitFiles, name="mine.py:Net", output="acts.zarr", **changed) -> None:
    settings = {
        "layers": ["stem", "out"],
        "params": {},
        "weights": None,
        "rows": None,
        "policy": "none",
        "dtype": "float32",
        "device": choose(),
    }
    extract_model(name, files, output, **{**settings, **changed})


@pytest.mark.slow
def test_the_command_writes_what_the_network_computes_under_the_names_of_the_clips(files):
    command = [sys.executable, "-m", "vidrep", "extract", "--model", "mine.py:Net"]
    command += ["--clips", "test.h5", "--layers", "stem,out", "--output", "acts.zarr"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    network = build_any("mine.py:Net", (1, 4, 6, 6), {})
    store = zarr.open_group("acts.zarr", mode="r")  # a folder, as other programs expect
    with open_clips(files.clips) as clips:
        assert store["ids"][:].tolist() == clips.ids
        clip = torch.from_numpy(clips.clips[:]).float()[:, None] / 255
    with torch.no_grad():
        stem = network.stem(clip)  # before the ReLU that works in place
        out = network(clip)
    np.testing.assert_allclose(store["stem"][:], stem.numpy(), atol=1e-5)
    np.testing.assert_allclose(store["out"][:], out.numpy(), atol=1e-5)
    assert store.attrs["layers"] == ["stem", "out"]


@pytest.mark.parametrize("output", ["acts.zarr", "acts.zarr.zip"])
def test_they_join_as_external_activations(files, output):
    extract(files, output=output, policy=[2, 2, 2])
    attrs = {"dataset": "external", "system": "mine", "seed": 0}
    import_activations(output, files.clips, "store.zarr.zip", count=40, attrs=attrs)
    store = open_store("store.zarr.zip")
    assert store.attrs["layers"] == ["stem", "out"] and store["stem"].shape == (40, 2, 2, 2, 2)
    first, second = open_sources([output])
    assert first.ids == second.ids and first.n == CLIPS


def test_networks_in_every_shape(files):
    for name, params, units in (
        ("mine.py:Net", {"units": 7}, 7),
        ("mine.py:Sized", {}, 4),
        ("mine.py:ready", {}, 4),
        ("mine:Net", {}, 5),
    ):
        extract(files, name, params=params, rows=9)
        assert zarr.open_group("acts.zarr", mode="r")["out"].shape == (9, units)
    extract(files, "pixels", layers=[], rows=3)  # one of ours, with its own layers
    store = zarr.open_group("acts.zarr", mode="r")
    assert store[store.attrs["layers"][-1]].shape[0] == 3


def test_weights_are_loaded_and_named(files):
    network = build_any("mine.py:Net", (1, 4, 6, 6), {"units": 5})
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    torch.save({"state_dict": state}, "w.pt")
    extract(files, weights=Path("w.pt"))
    store = zarr.open_group("acts.zarr", mode="r")
    assert not store["out"][:].any() and len(store.attrs["weights_sha256"]) == 64


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "none.py:Net"}, "no file none.py"),
        ({"name": "mine.py:Nut"}, "has no 'Nut'"),
        ({"name": "mine.py:number"}, "'mine.py:number' is int, expected a torch module"),
        ({"layers": ["stam"]}, "'mine.py:Net' has no layer 'stam'; did you mean stem"),
        ({"layers": []}, "does not list its layers; name some of stem, relu, out"),
        ({"params": {"size": 3}}, "'mine.py:Net' cannot be built: .*'size'"),
        ({"name": "mine.py:ready", "params": {"units": 3}}, "is built already and takes no"),
        (
            {"name": "mine.py:Colour"},
            r"'mine.py:Colour' fails on clips \(B, C, T, H, W\) of \(1, 4, 6, 6\): RuntimeError",
        ),
        ({"output": "acts.npz"}, "acts.npz: activations are written to a .zarr folder or"),
        ({"weights": Path("w.pt")}, "w.pt"),
    ],
)
def test_what_cannot_be_extracted_ends_in_one_line_and_leaves_nothing(files, changed, message):
    with pytest.raises((ValueError, OSError), match=message) as error:
        extract(files, **changed)
    assert "\n" not in str(error.value) and not list(Path().glob("*acts*"))


def test_poolings_of_a_command_line():
    assert parse_policy(["none"]) == "none" and parse_policy(["4", "2", "1"]) == [4, 2, 1]
    for words in (["4"], ["0", "1", "1"], ["mean"], ["1", "2", "x"]):
        with pytest.raises(ValueError, match="give none, space_mean or a grid T H W"):
            parse_policy(words)
