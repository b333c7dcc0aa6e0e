"""What docs/extending.md shows of users' models, objectives and weights works as it stands."""

import re
from pathlib import Path

import pytest
import torch
import yaml

from vidrep import models
from vidrep.activations.capture import capturing
from vidrep.config import check, complete
from vidrep.own_models import check_networks
from vidrep.runs import UNTRAINED
from vidrep.training.pretrained import start_from
from vidrep.training.run import load_run, train_run

PAGE = Path(__file__).parent.parent / "docs" / "extending.md"


def blocks(heading: str, language: str) -> list[str]:
    """The blocks of a language under a heading and those below it."""
    level = heading.split()[0]
    after = PAGE.read_text().split(f"\n{heading}\n")[1]
    section = re.split(rf"\n{level} ", after)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with the files that the page shows, by the names in their first lines."""
    monkeypatch.chdir(tmp_path)
    for heading in ("## A model of your own", "## Pretrained weights"):
        for block in blocks(heading, "python"):
            name = re.match(r"# (\w+\.py)\n", block).group(1)
            Path(name).write_text(block)
    yield tmp_path
    models.traits.cache_clear()


def systems(heading: str) -> list[dict]:
    """The systems that the page lists under a heading, those apart that want other files."""
    listed = []
    for block in blocks(heading, "yaml"):
        listed += yaml.safe_load(block)["systems"]
    return [entry for entry in listed if "folder" not in entry.get("params", {})]


def train(system, split, cpu, folder: Path, *, weights=None, run_seed: int | str = 0):
    """Train, or only initialise, a system of the page; its objective."""
    train_run(
        {**system.definition(), "first_seed": 0},
        split,
        split,
        seed=0,
        run_seed=run_seed,
        device=cpu,
        folder=folder,
        fingerprint="",
        about={},
        report=lambda line: None,
        weights=weights,
    )
    return load_run(folder, cpu)[0]


def test_models_and_objectives_of_ones_own_are_checked_and_trained(folder, make_split, cpu):
    torch.manual_seed(7)
    split = make_split(12)
    shape = split.shape.clip
    elsewhere = models.create("my_models.py:MeanFrame", clip_shape=shape, units=32)
    torch.save({"model": elsewhere.state_dict()}, "trained_elsewhere.pt")
    config = {
        "video": {"frames": 8, "size_px": 16, "patch_px": 8},
        "datasets": ["digits_only"],
        "systems": systems("## A model of your own"),
    }
    experiment = check(complete(config))
    check_networks(experiment)
    assert list(experiment.systems) == ["mean_frame", "mean_frame_elsewhere", "brightness"]
    for name, system in experiment.systems.items():
        objective = train(system, split, cpu, folder / name, weights=system.weights)
        start = train(system, split, cpu, folder / f"{name}_0", run_seed=UNTRAINED)
        same = torch.equal(
            objective.model.embedding.weight, elsewhere.to(torch.float32).embedding.weight
        )
        assert same == (name == "mean_frame_elsewhere")
        assert not torch.equal(objective.model.embedding.weight, start.model.embedding.weight)


def test_the_transformer_of_the_page_has_its_tokens_in_place(folder):
    network = models.create("my_transformer.py:Patches", clip_shape=(1, 8, 16, 16))
    with torch.no_grad(), capturing(network, network.layers) as captured:
        network(torch.rand(3, 1, 8, 16, 16))
    assert captured["block"].shape == (3, 32, 4, 2, 2)


def test_published_names_are_translated(folder):
    network = models.create("renamed.py:MeanFrame", clip_shape=(1, 8, 4, 4))
    torch.save({"fc.weight": torch.ones(64, 16), "fc.bias": torch.zeros(64)}, "published.pt")
    start_from(network, "published.pt")
    assert torch.equal(network(torch.ones(1, 1, 8, 4, 4)), torch.full((1, 64), 16.0))
    entry = {"name": "renamed", "model": "renamed.py:MeanFrame", "weights": "published.pt"}
    config = complete({"systems": [entry]})
    with pytest.raises(ValueError, match=r"published.pt does not fit the network: .*\(64, 16\)"):
        check_networks(check(config))


def test_published_weights_are_named_as_the_page_says(folder):
    (folder / "resources").mkdir()
    for name in ("mobilenet_v2.npz", "mobilenet_v2.pth"):
        (folder / "resources" / name).touch()
    listed = systems("## Pretrained weights")
    experiment = check(complete({"systems": listed}))
    records = []
    for entry in listed:
        chosen = experiment.systems[entry["name"]]
        with torch.device("meta"):
            network = models.create(chosen.model, clip_shape=(3, 16, 20, 20), **chosen.params)
        records.append(network.trunk.net.chosen)
    assert records == [None, "torchvision", None]
