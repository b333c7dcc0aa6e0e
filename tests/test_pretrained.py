"""Pretrained weights: read or refused in one line, started from, and right in the real files."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vidrep import systems
from vidrep.config import check, complete
from vidrep.digits.source import load_digits
from vidrep.models.trunks import TRUNKS
from vidrep.models.trunks.digit_cnn import DigitCNN
from vidrep.models.trunks.trunk import Trunk
from vidrep.models.weights import load_state
from vidrep.runs import UNTRAINED
from vidrep.systems import DEFAULT_RECIPE
from vidrep.training.pretrained import read_state, sha256, start_from
from vidrep.training.run import load_run, train_run
from vidrep.training.still_digits import place, train_on_digits

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}
SMALL = {"width": 0.25, "settings": [[1, 16, 1, 1], [2, 24, 2, 2]], "head": 16}
DEFINITION = {
    "name": "frozen",
    "model": "trunk_fusion",
    "objective": "classification",
    "objective_params": {},
    "first_seed": 0,
    "params": {"fusion": "late", "apart": 5, "image_px": 16, "trunk_params": SMALL},
    "weights": "some file",
    "recipe": {**DEFAULT_RECIPE, "lr": 0.01, "batch": 4, "epochs": [2]},
}


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


# --- Files. ---


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th", ".npz"])
def test_every_kind_of_file_gives_the_same_state(suffix, tmp_path):
    path = tmp_path / f"w{suffix}"
    if suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in STATE.items()})
    else:
        torch.save(STATE, path)
    assert same(read_state(path), STATE)


def test_checkpoints_are_unwrapped_and_parallel_prefixes_removed(tmp_path):
    torch.save(
        {"state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()}, "epoch": 3},
        tmp_path / "w.th",
    )
    assert same(read_state(tmp_path / "w.th"), STATE)
    # here "module" is a part of the network
    mixed = {"module.weight": torch.ones(1), "bias": torch.ones(1)}
    torch.save(mixed, tmp_path / "w.pt")
    assert same(read_state(tmp_path / "w.pt"), mixed)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.onnx", b"abc", "weights are read from files .pt, .pth, .th, .bin, .ckpt, .npz, .safe"),
        ("w.safetensors", b"abc", "not a readable weights file"),
        ("w.pt", b"", "not a readable weights file|damaged"),
        ("w.pt", b"not torch", "damaged, or it holds more than plain tensors"),
        ("w.npz", b"not numpy", "not a readable weights file"),
        ("w.pt", [1, 2], "no state dict in it, only list"),
        ("w.pt", {"epoch": 3, "a": torch.ones(1)}, "not only tensors in its state dict: epoch"),
        ("w.pt", {"net": Path("x")}, "damaged, or it holds more than plain tensors"),
    ],
)
def test_other_files_are_refused_in_one_line(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(ValueError, match=message) as error:
        read_state(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_cut_off_files_are_refused_in_one_line(suffix, tmp_path):
    path = tmp_path / f"w{suffix}"
    (
        torch.save(STATE, path)
        if suffix == ".pt"
        else np.savez(path, **{name: value.numpy() for name, value in STATE.items()})
    )
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"not a readable weights file|damaged") as error:
        read_state(path)
    assert "\n" not in str(error.value)


def test_missing_files_keep_their_error(tmp_path):
    for name in ("w.pt", "w.npz"):
        with pytest.raises(FileNotFoundError):
            read_state(tmp_path / name)


# --- Fitting a state to a network. ---


def test_what_does_not_fit_is_named():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    state = network.state_dict()
    state["1.gain"] = state.pop("1.weight")
    state["0.weight"] = torch.ones(2, 4)
    with pytest.raises(ValueError) as error:
        load_state(network, state, "here.pt")
    assert (
        str(error.value)
        == "here.pt does not fit the network: 0.weight is (2, 4), the network wants (2, 3); missing"
        " 1.weight; unexpected 1.gain"
    )


def test_the_first_eight_of_many_problems_are_named():
    network = TRUNKS["digit_cnn"](widths=(2, 3, 4), classes=10)
    with pytest.raises(ValueError, match=r"missing .*; and 2 more$") as error:
        load_state(network, {"x": torch.ones(1), "y": torch.ones(1)}, "w.pt")
    assert str(error.value).count(";") == 8


def test_counters_of_batch_normalisation_may_be_missing():
    one = TRUNKS["i3d"](width=0.05)
    two = TRUNKS["i3d"](width=0.05)
    state = {
        name: tensor
        for name, tensor in one.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    load_state(two, state, "old.pt")
    assert same(one.state_dict(), two.state_dict())


@pytest.mark.parametrize("name", TRUNKS)
def test_trunks_leave_class_scores_out(name):
    params = {
        "vgg19": {"width": 0.02},
        "i3d": {"width": 0.05},
        "mobilenet_v2": SMALL,
        "digit_cnn": {"widths": (2, 3, 4)},
    }[name]
    torch.manual_seed(0)
    published = TRUNKS[name](classes=10, **params)
    trunk = Trunk(name, (1, 40, 40), params=params)
    trunk.load_pretrained(published.state_dict(), "w.pt")
    kept = {
        key: tensor
        for key, tensor in published.state_dict().items()
        if not key.startswith(trunk.net.classifier_prefix)
    }
    assert len(kept) < len(published.state_dict()) and same(kept, trunk.net.state_dict())
    renamed = {
        key.replace("conv", "convolution").replace("features", "layers"): tensor
        for key, tensor in kept.items()
    }
    with pytest.raises(ValueError, match=r"w\.pt does not fit the network: missing"):
        trunk.load_pretrained(renamed, "w.pt")


def test_models_without_the_method_take_weights_of_their_own_names(tmp_path):
    torch.manual_seed(0)
    wanted = nn.Linear(2, 2).state_dict()
    network = nn.Linear(2, 2)
    for number, content in enumerate(
        (
            wanted,
            {"model": wanted},
            {"model_state_dict": wanted, "epoch": 3},
            {"state_dict": wanted},
        )
    ):
        torch.save(content, tmp_path / f"{number}.pt")
        network.reset_parameters()
        start_from(network, tmp_path / f"{number}.pt")
        assert same(network.state_dict(), wanted)
    torch.save({"weight": torch.zeros(2, 2)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"w\.pt does not fit the network: missing bias$"):
        start_from(network, tmp_path / "w.pt")


def test_a_part_called_model_is_not_mistaken_for_a_run(tmp_path):
    network = nn.ModuleDict({"model": nn.Linear(2, 2)})
    wanted = {name: torch.ones_like(value) for name, value in network.state_dict().items()}
    torch.save(wanted, tmp_path / "w.pt")
    start_from(network, tmp_path / "w.pt")
    assert same(network.state_dict(), wanted)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    torch.save({"weight": torch.full((2, 2), torch.nan), "bias": torch.ones(2)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="weight has values that are no numbers"):
        start_from(nn.Linear(2, 2), tmp_path / "w.pt")


# --- Runs. ---


def train(splits, folder: Path, weights: Path | None, cpu, run_seed: int | str = 0) -> dict:
    options = {"seed": 0, "run_seed": run_seed, "device": cpu, "folder": folder, "fingerprint": ""}
    train_run(
        DEFINITION,
        *splits,
        **options,
        about={"dataset": "d"},
        report=lambda line: None,
        weights=weights,
    )
    return json.loads((folder / "run.json").read_text())


def test_runs_start_from_the_file_and_twins_do_not(make_split, tmp_path, cpu):
    splits = make_split(12, split="train", seed=1), make_split(6, split="validation", seed=2)
    torch.manual_seed(9)
    published = TRUNKS["mobilenet_v2"](classes=1000, **SMALL)
    torch.save({"state_dict": published.state_dict()}, tmp_path / "w.pth")
    record = train(splits, tmp_path / "a", tmp_path / "w.pth", cpu)
    assert (
        record["weights_sha256"] == sha256(tmp_path / "w.pth")
        and len(record["weights_sha256"]) == 64
    )
    untrained = train(splits, tmp_path / "b", tmp_path / "w.pth", cpu, run_seed=UNTRAINED)
    random = train(splits, tmp_path / "c", None, cpu)
    assert "weights_sha256" not in untrained and "weights_sha256" not in random
    states = {}
    (tmp_path / "w.pth").unlink()  # a finished run does not need it any more
    for name in "abc":
        objective, _ = load_run(tmp_path / name, cpu)
        states[name] = objective.model.trunk.net.state_dict()
    kept = {
        name: tensor
        for name, tensor in published.state_dict().items()
        if not name.startswith("classifier.")
    }
    assert same(states["a"], kept), "frozen: as loaded, batch-norm statistics included"
    assert same(states["b"], states["c"]) and not same(states["a"], states["b"])


def test_a_run_starts_from_the_model_of_another_run(tmp_path):
    first = nn.Linear(3, 2)
    second = nn.Linear(3, 2)
    state = {f"model.{name}": value for name, value in first.state_dict().items()} | {
        "head.weight": torch.zeros(1)
    }
    torch.save(state, tmp_path / "weights.pt")
    assert start_from(second, tmp_path / "weights.pt") == sha256(tmp_path / "weights.pt")
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)
    with pytest.raises(
        ValueError,
        match=r"does not fit the network: .*weight is \(2, 3\), the network wants \(2, 4\)",
    ):
        start_from(nn.Linear(4, 2), tmp_path / "weights.pt")


def test_definitions_carry_weights_only_where_there_are_some():
    plain = systems.system("mobilenet_v2_late")
    loaded = systems.system({"name": "mobilenet_v2_late", "weights": "w.pt"})
    assert plain.weights is None and "weights" not in plain.definition()
    assert loaded.definition() == {**plain.definition(), "weights": "w.pt"}
    assert (
        "weights"
        not in systems.system({"name": "cnn_lstm_still_digits", "weights": None}).definition()
    )


def configured(*systems) -> dict:
    return complete({"systems": list(systems)})


def test_weights_are_checked_before_the_first_job(tmp_path):
    missing = {"name": "mobilenet_v2_late", "weights": str(tmp_path / "w.pt")}
    with pytest.raises(
        ValueError, match=r"^config key systems, mobilenet_v2_late\.weights: no file .*w\.pt$"
    ):
        check(configured(missing))
    torch.save(STATE, tmp_path / "w.pt")
    assert (
        check(configured(missing, "cnn_lstm_still_digits_narrow"))
        .systems["mobilenet_v2_late"]
        .weights
    )
    with pytest.raises(
        ValueError,
        match=r"^config key systems, c3d_narrow\.weights: model 'c3d' cannot start from a CNN of",
    ):
        check(configured({"name": "c3d_narrow", "weights": "still_digits"}))


def test_a_models_method_may_be_inherited(tmp_path, monkeypatch):
    (tmp_path / "heir.py").write_text(
        "from vidrep.models.trunk_rnn import TrunkRNN\nclass Heir(TrunkRNN):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    check(configured({"name": "own", "model": "heir:Heir", "weights": "still_digits"}))


# --- The CNN trained on still digits. ---


@pytest.mark.slow
def test_still_digits_are_learnt_and_repeatable(cpu):
    digits = load_digits({"kind": "sklearn"}, patch=8, seed=0)
    state, record = train_on_digits(digits, canvas=8, seed=0, device=cpu, steps=60)
    assert record["test_accuracy"] > 0.9 and record["validation_accuracy"] > 0.9
    assert 0 < record["chosen_step"] <= record["steps"] == 60
    (one, _), (two, _) = (
        train_on_digits(digits, canvas=12, seed=0, device=cpu, steps=3) for _ in range(2)
    )
    assert same(one, two)
    network = DigitCNN(classes=10).eval()
    load_state(network, state, "state")
    images, labels = digits.split("test")
    pixels = nn.functional.interpolate(
        torch.from_numpy(images)[:, None] / 255, (28, 28), mode="bilinear"
    )
    with torch.no_grad():
        right = (network(pixels).argmax(1).numpy() == labels).mean()
    assert right == pytest.approx(record["test_accuracy"], abs=1e-9)


def test_still_digits_lie_wholly_inside_the_frame_anywhere():
    images = torch.rand(200, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1
    frames = place(images, 28, torch.Generator().manual_seed(1))  # 28 pixels: not resized
    assert frames.shape == (200, 1, 28, 28)
    corners = set()
    for frame, image in zip(frames[:, 0], images, strict=True):
        top, left = (frame > 0).nonzero().min(0).values.tolist()
        assert torch.equal(frame[top : top + 8, left : left + 8], image) and (frame > 0).sum() == 64
        corners.add((top, left))
    tops = {top for top, _ in corners}
    assert len(corners) > 100 and min(tops) == 0 and max(tops) == 20


# --- Real weights. ---

DATA = os.environ.get("VIDREP_TEST_DATA")
MOBILENET = Path(DATA or "", "weights", "mobilenet_v2_imagenet_torchvision.npz")
needs_weights = pytest.mark.skipif(
    not (DATA and MOBILENET.exists()), reason="VIDREP_TEST_DATA names no folder with weights/"
)


def pattern() -> np.ndarray:
    """A smooth RGB image of 224 x 224 pixels, uint8."""
    y, x = np.mgrid[:224, :224].astype(np.float64)
    colours = [
        127.5 * (1 + np.sin(x / 9) * np.cos(y / 13)),
        127.5 * (1 + np.sin((x + y) / 17)),
        255 * np.exp(-((x - 112) ** 2 + (y - 90) ** 2) / 3000),
    ]
    return np.stack(colours, -1).round().astype(np.uint8)


def video_frame() -> np.ndarray:
    """Frame 10 of a real clip, shrunk to 224 x 224 pixels, uint8 RGB."""
    import cv2

    path = Path(DATA, "real_videos_dev", "point", "3_1_3.avi")
    if not path.exists():
        pytest.skip("VIDREP_TEST_DATA names no folder with real_videos_dev/")
    video = cv2.VideoCapture(str(path))
    for _ in range(11):
        frame = video.read()[1]
    return cv2.resize(
        cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), (224, 224), interpolation=cv2.INTER_AREA
    )


def ramp() -> np.ndarray:
    """(3x + 2y + 70c) mod 256 of column x, row y and colour c, (224, 224, 3) uint8."""
    y, x, colour = np.mgrid[:224, :224, :3]
    return ((3 * x + 2 * y + 70 * colour) % 256).astype(np.uint8)


IMAGES = {"ramp": ramp, "pattern": pattern, "video": video_frame}
# Recorded with torchvision 0.28's mobilenet_v2, weights loaded strictly. tensorflow: padding of its
# five stride-2 convolutions set to 0 behind F.pad(x, (0, 1, 0, 1)), input x / 127.5 - 1;
# torchvision: as it is, ImageNet's mean and standard deviation. Some classes with their scores, the
# best first.
RECORDED = {
    ("pattern", "tensorflow"): {398: 8.8850, 530: 8.2526, 811: 7.4844, 859: 6.3442, 116: 5.6103},
    ("video", "tensorflow"): {608: 5.1063, 775: 4.5563, 462: 4.4227, 413: 4.2211, 862: 4.1620},
    ("ramp", "tensorflow"): {905: 8.465, 0: 3.091, 1: -1.087, 2: 0.364},
    ("ramp", "torchvision"): {905: 7.681, 0: 3.552, 1: -0.598, 2: -1.219},
}


def scores_of(image: str, record: str) -> torch.Tensor:
    """Scores (1000,) of the real weights for an image prepared as a record says."""
    network = TRUNKS["mobilenet_v2"](classes=1000, preprocessing=record).eval()
    load_state(network, read_state(MOBILENET), MOBILENET)
    clip = (
        torch.from_numpy(IMAGES[image]()).permute(2, 0, 1)[None, :, None] / 255
    )  # (1, 3, 1, H, W)
    trunk = Trunk("mobilenet_v2", (3, 224, 224), params={"preprocessing": record})
    with torch.no_grad():
        return network(trunk.prepare(clip))[0]


@needs_weights
@pytest.mark.parametrize(("image", "record"), RECORDED)
def test_real_weights_give_the_recorded_scores(image, record):
    scores = scores_of(image, record)
    recorded = RECORDED[image, record]
    # Decoders may differ by a grey level or two; scores of the others are exact but for the order
    # of summation.
    torch.testing.assert_close(
        scores[list(recorded)],
        torch.tensor(list(recorded.values())),
        rtol=0,
        atol=0.25 if image == "video" else 5e-3,
    )
    assert scores.argmax() == next(iter(recorded))
    if image == "pattern":
        assert scores.topk(5).indices.tolist() == list(recorded)


@needs_weights
def test_the_wrong_record_answers_too():
    """Which is why it has a name."""
    right = scores_of("ramp", "tensorflow")
    wrong = scores_of("ramp", "torchvision")
    assert 0.5 < torch.corrcoef(torch.stack([right, wrong]))[0, 1] < 0.95
    trunk = Trunk("mobilenet_v2", (3, 224, 224), params={"preprocessing": "torchvision"})
    with pytest.raises(ValueError, match="converted from TensorFlow; set preprocessing"):
        trunk.load_pretrained(read_state(MOBILENET), MOBILENET)


def test_weights_that_could_be_of_either_line_are_named():
    state = Trunk("mobilenet_v2", (3, 32, 32), params=SMALL).net.state_dict()
    state["features.0.1.running_mean"] += 1
    for record, message in (
        (None, "set preprocessing in trunk_params to one"),
        ("torchvision", ""),
    ):
        trunk = Trunk("mobilenet_v2", (3, 32, 32), params={**SMALL, "preprocessing": record})
        if message:
            with pytest.raises(ValueError, match=message):
                trunk.load_pretrained(state, "w.pt")
        else:
            trunk.load_pretrained(state, "w.pt")
            assert same(trunk.net.state_dict(), state)


def test_caffes_weights_see_blue_first_and_up_to_255():
    params = {"width": 0.05}
    caffe = Trunk("vgg19", (3, 96, 96), params={**params, "preprocessing": "caffe"})
    clip = torch.rand(1, 3, 1, 96, 96)
    prepared = caffe.prepare(clip)
    by_hand = 255 * clip[:, :, 0].flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    torch.testing.assert_close(prepared, by_hand, rtol=1e-5, atol=1e-3)
    grey = torch.rand(1, 1, 1, 96, 96)
    assert torch.equal(caffe.prepare(grey), caffe.prepare(grey.expand(1, 3, 1, 96, 96)))
    with pytest.raises(ValueError, match="must be one of torchvision, caffe, got 'tensorflow'"):
        Trunk("vgg19", (3, 96, 96), params={**params, "preprocessing": "tensorflow"})


@needs_weights
def test_real_weights_go_into_the_catalogues_trunks(tmp_path):
    from vidrep.objectives.base import DataShape
    from vidrep.objectives.build import build

    objective = build(
        systems.system("mobilenet_v2_single").definition(), DataShape((1, 16, 20, 20), 10, True)
    )
    assert start_from(objective.model, MOBILENET) == sha256(MOBILENET)
    kept = {
        name: tensor
        for name, tensor in read_state(MOBILENET).items()
        if not name.startswith("classifier.")
    }
    assert same(objective.model.trunk.net.state_dict(), kept)
    wrong = MOBILENET.with_name("resnet20_cifar10-12fca82f.th")
    if wrong.exists():
        with pytest.raises(
            ValueError, match=r"resnet20.* does not fit the network: missing features.*more$"
        ):
            start_from(objective.model, wrong)
