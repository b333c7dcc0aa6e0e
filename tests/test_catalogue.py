"""Every entry of the catalogue is complete; reference systems have the published sizes."""

import json
import re

import pytest
import torch

from vidrep import systems
from vidrep.config import complete
from vidrep.config.sections import SystemEntry
from vidrep.listing import clip_shape
from vidrep.objectives.base import DataShape, Objective
from vidrep.objectives.build import build

every_entry = pytest.mark.parametrize("name", sorted(systems.catalogue()))


def build_without_memory(name: str, **changes) -> Objective:
    """A system for grey clips of its size, on the meta device: reference sizes need gigabytes."""
    chosen = systems.system({"name": name, **changes})
    with torch.device("meta"):
        return build(
            json.loads(json.dumps(chosen.definition())),
            DataShape((1, *clip_shape(name)[1:]), 10, multi_label=True),
        )


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@every_entry
def test_every_entry_is_complete(name):
    entry = systems.catalogue()[name]
    assert (
        entry["preset"] in {"reference", "narrow", "control"}
        and entry["family"]
        and entry["citation"]
    )
    # pages where there is no preprint
    assert entry["preset"] == "control" or re.search(r"arXiv|pp\. \d+", entry["citation"])
    assert set(entry.get("recipe", {})) <= set(systems.DEFAULT_RECIPE)
    shown = {key: value for key, value in entry.items() if key not in ("preset", "tiny")}
    SystemEntry.model_validate({"name": name, **shown})


def test_the_tiny_size_is_for_tests_alone(tiny_system):
    """It changes constructors' arguments, and no run's definition."""
    for name, entry in systems.catalogue().items():
        tiny = entry.get("tiny", {})
        assert set(tiny) <= {"params", "objective_params"}
        assert "tiny" not in systems.system(name).definition()
        changed = {**tiny.get("params", {}), **tiny.get("objective_params", {})}
        if changed:
            assert entry["preset"] == "narrow"
            assert tiny_system(name).definition() != systems.system(name).definition()
    own = {"name": "own", "model": "c3d", "tiny": {"params": {}}}
    with pytest.raises(ValueError, match="unknown key 'tiny'"):
        complete({"systems": [own]})


def test_every_family_has_a_reference_and_a_narrow_system():
    families = {"reference": set(), "narrow": set(), "control": set()}
    for entry in systems.catalogue().values():
        families[entry["preset"]].add(entry["family"])
    assert families["reference"] == families["narrow"]


@pytest.mark.parametrize(
    ("name", "count"),
    [("c3d_small", 1_122_708), ("r3d_small", 1_209_492), ("r2plus1d_small", 1_212_671)],
)
def test_trainable_parameters_of_the_reference_classifiers(name, count):
    objective = build_without_memory(name)
    assert objective.outputs == 20 and parameters(objective) == count


def test_parameters_of_the_reference_cnn_and_lstm():
    objective = build_without_memory("cnn_lstm_small")
    head = 20 * (512 + 1)
    frame_head = 20 * (4096 + 1)
    assert parameters(objective) == 558_016 + 17_843_712 + head + frame_head


LSTM_OF_PIXELS, LSTM_OF_NOTHING = (
    4 * 2048 * (inputs + 2048) + 4 * 2048 + 3 * 2048 for inputs in (4096, 0)
)
READOUT = 4096 * (2048 + 1)


@pytest.mark.parametrize(
    ("conditional", "decoder", "millions"),
    [
        (["reconstruction", "prediction"], LSTM_OF_PIXELS + READOUT, 167.8),
        ([], LSTM_OF_NOTHING + READOUT, 100.7),
    ],
)
def test_parameters_of_the_reference_composite_model(conditional, decoder, millions):
    objective = build_without_memory(
        "lstm_composite", objective_params={"conditional": conditional}
    )
    assert parameters(objective.model) == LSTM_OF_PIXELS and round(LSTM_OF_PIXELS / 1e6, 1) == 50.3
    assert parameters(objective) == LSTM_OF_PIXELS + 2 * decoder
    assert round(parameters(objective) / 1e6, 1) == millions


def test_reference_recipes_are_those_of_the_sources():
    recipes = {name: systems.system(name).recipe for name in systems.catalogue()}
    assert [recipes[name]["lr"] for name in ("c3d_small", "r3d_small", "r2plus1d_small")] == [
        5e-4
    ] * 3
    assert recipes["cnn_lstm_small"]["lr"] == [5e-4, 5e-6]
    for name in ("c3d_small", "r3d_small", "r2plus1d_small", "cnn_lstm_small"):
        assert (recipes[name]["optimiser"], recipes[name]["schedule"], recipes[name]["batch"]) == (
            "adam",
            "constant",
            32,
        )
        assert set(recipes[name]["epochs"]) == {50}
    assert (
        recipes["lstm_composite"]["batch"] == 80
        and systems.system("lstm_composite").objective_params["observed"] == 10
    )
    two_stream = build_without_memory("two_stream_exact").model
    assert (
        two_stream.temporal.stacks.length,
        recipes["two_stream_exact"]["optimiser"],
        recipes["two_stream_exact"]["lr"],
    ) == (
        10,
        "sgd",
        1e-2,
    )
