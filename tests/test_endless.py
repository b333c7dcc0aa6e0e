"""Endless data sets: other clips every epoch, the same for the same seed, none of any split."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from vidrep import systems
from vidrep.config import check, complete
from vidrep.datasets.declared import data_set
from vidrep.datasets.render import render_split
from vidrep.datasets.store import write_clips
from vidrep.digits.source import DigitSource, load_digits, write_digits
from vidrep.flow.exact import exact_flow
from vidrep.splits import SPLITS
from vidrep.training.endless import EndlessClips, endless_clips
from vidrep.training.run import train_run
from vidrep.training.split import Split

COUNT = 12
CONFIG = complete({"video": {"frames": 8, "size_px": 16, "patch_px": 8}})


@pytest.fixture(scope="module")
def digits() -> DigitSource:
    return load_digits({"kind": "sklearn"}, patch=8, seed=0)


@pytest.fixture(scope="module")
def digits_file(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    write_digits(digits, path)
    return path


@pytest.fixture
def endless(digits_file):
    """Factory of the endless form of a version as a system is fed it."""

    def make(name: str = "velocity_only", system: str = "c3d_narrow", **options) -> EndlessClips:
        definition = data_set(name, CONFIG).definition()
        fed = systems.system(system).definition()
        return endless_clips(definition, digits_file, fed, **{"count": COUNT, "seed": 0, **options})

    return make


def pixels(split: Split) -> np.ndarray:
    return split.clips.numpy()


def test_an_epoch_is_the_same_for_the_same_seed_and_unlike_every_other(endless, digits):
    recipe = endless().recipe
    fixed = render_split(recipe, digits, "train", COUNT, 0)["clips"]
    first = pixels(endless()(1))
    assert np.array_equal(first, pixels(endless(system="cnn_lstm_narrow")(1)))
    others = [pixels(endless()(2)), pixels(endless(seed=1)(1)), fixed]
    for other in others:
        shared = (first[:, None] == other[None]).all((2, 3, 4))
        assert first.shape == other.shape and not shared.any()


@pytest.mark.parametrize("name", ["digits_only", "sequences"])
def test_only_training_digits_are_shown(name, endless, digits):
    made = endless(name)
    rendered = made.render(made.recipe, digits, "train", 300, 0, epoch=3)
    shown = np.unique(rendered["factors"]["digit_image"])
    assert np.isin(shown, digits.splits["train"]).all() and len(shown) > 200


def test_versions_stay_comparable_clip_by_clip(endless):
    """The same digits from the same places in the same directions, whatever carries the label."""
    slow = endless("digits_only_slow")
    fast = endless("digits_only")
    made = [
        clips.render(clips.recipe, clips.digits, "train", COUNT, 0, epoch=2)
        for clips in (slow, fast)
    ]
    for factor in ("digit_image", "start", "direction_rad"):
        assert np.array_equal(*(one["factors"][factor] for one in made))


def test_flow_and_targets_belong_to_the_new_clips(endless):
    made = endless(system="two_stream_exact_narrow")
    rendered = made.render(made.recipe, made.digits, "train", COUNT, 0, epoch=4)
    split = made(4)
    expected = exact_flow(rendered["patches"], rendered["corners"], 16)
    assert np.array_equal(split.flow.numpy(), expected) and split.flow.abs().sum() > 0
    assert np.array_equal(split.clips.numpy(), rendered["clips"])
    targeted = replace(made, targets=("directions", "speeds"), flows={})(4)
    assert targeted.flow is None and set(targeted.targets) == {"directions", "speeds"}
    assert np.array_equal(targeted.targets["speeds"].numpy(), rendered["labels"]), "speed is label"


class Killed(Exception):
    """Stands for a job that is killed."""


def test_a_killed_run_goes_on_with_the_clips_it_would_have_had(
    endless, make_split, tiny_system, tmp_path, cpu
):
    system = tiny_system("c3d_narrow", recipe={"epochs": [3], "batch": 4, "endless": True})
    seen: list[int] = []

    def train(folder: str, report=lambda line: None) -> None:
        clips = endless()

        def noted(epoch: int) -> Split:
            seen.append(epoch)
            return clips(epoch)

        split = replace(clips(0), new_clips=noted)
        train_run(
            {**system.definition(), "first_seed": 0},
            split,
            make_split(6, classes=10),
            seed=0,
            run_seed=0,
            device=cpu,
            folder=tmp_path / folder,
            fingerprint="",
            about={},
            report=report,
        )

    def kill(line: str) -> None:
        if "epoch 2/3" in line:
            raise Killed

    train("whole")
    assert seen == [1, 2, 3]
    with pytest.raises(Killed):
        train("killed", kill)
    train("killed")
    assert seen[3:] == [1, 2, 3], "the epochs before the kill are not trained again"
    whole, killed = (torch.load(tmp_path / name / "weights.pt") for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    record = json.loads((tmp_path / "whole" / "run.json").read_text())
    assert record["system"]["recipe"]["endless"] is True


def test_what_cannot_be_endless_is_refused(make_split, tmp_path):
    labelled = {"name": "c3d_narrow", "recipe": {"labelled": 100, "endless": True}}
    with pytest.raises(ValueError, match="labelled chooses among the training clips, endless has"):
        check(complete({"systems": [labelled]}))
    files = {}
    for name in SPLITS:
        split = make_split(400, seed=len(name))
        content = {"clips": split.clips.numpy(), "labels": split.labels.numpy(), "factors": {}}
        attrs = {"dataset": "mine", "split": name, "multi_label": True, "classes": list("abcd")}
        files[name] = str(tmp_path / f"{name}.h5")
        write_clips(files[name], content, attrs)
    config = {
        "datasets": [{"name": "mine", "clips": files}],
        "systems": [{"name": "c3d_narrow", "recipe": {"endless": True}}],
        "flow": {"estimators": []},
    }
    with pytest.raises(ValueError, match=r"c3d_narrow\.recipe\.endless: the clips of mine come"):
        check(complete(config))
