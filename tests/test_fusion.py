"""Fusion CNNs: published shapes, what each fusion and stream sees, the two normalisations."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from studies.fidelity.fusion_cnns import CLAIMS, ensemble, epochs_to
from studies.results import Results
from vidrep import models, systems
from vidrep.clip_scores import write_clip_scores
from vidrep.datasets.store import write_clips
from vidrep.models.fusion import ALEXNET, frame_window
from vidrep.models.fusion_trunk import LRN, LocalResponseNorm

FUSIONS = ("single", "early", "late", "slow")
# Maps of the public re-implementation at 170 px without padding, after each pooling: channels and
# side.
VALID = {
    "conv1": (96, 27),
    "conv2": (256, 11),
    "conv3": (384, 9),
    "conv4": (384, 7),
    "conv5": (256, 2),
}
# of conv1, conv2, and all later ones
TIMES = {"single": (1, 1, 1), "early": (1, 1, 1), "late": (2, 2, 2), "slow": (4, 2, 1)}
SMALL = {
    "convs": [[32, 7, 2, 2], [64, 5, 1, 2], [96, 3, 1, 1], [96, 3, 1, 1], [64, 3, 1, 2]],
    "dense": [256],
}
TINY = {"convs": [[4, 3, 1, 2], [5, 3, 1, 1], [6, 3, 1, 2]], "dense": [7]}
TINY_SLOW = {**TINY, "frames": 8, "slow": [[2, 2], [2, 2], [2, 2]], "gap": 5}
ENSEMBLE = ("fusion_single_narrow", "fusion_slow_narrow")
every_fusion = pytest.mark.parametrize("fusion", FUSIONS)


def build(clip_shape=(1, 8, 20, 20), **params) -> nn.Module:
    torch.manual_seed(0)
    return models.create("fusion", clip_shape=clip_shape, **params)


def shapes(clip_shape, **params) -> dict[str, tuple]:
    """Output shapes by layer, on the meta device."""
    found = {}
    with torch.device("meta"):
        model = build(clip_shape, **params)
        for name in model.layers:
            model.get_submodule(name).register_forward_hook(
                lambda _, inputs, output, name=name: found.update({name: output.shape})
            )
        model(torch.empty(2, *clip_shape))
    return {name: tuple(shape[1:]) for name, shape in found.items()}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def clip(frames=8, side=20, channels=1) -> torch.Tensor:
    return torch.rand(2, channels, frames, side, side, generator=torch.Generator().manual_seed(1))


# --- Published shapes and sizes. ---


@every_fusion
def test_shapes_without_padding_at_170_px(fusion):
    found = shapes((3, 16, 170, 170), fusion=fusion, padding="valid")
    times = (*TIMES[fusion], TIMES[fusion][-1], TIMES[fusion][-1])
    for (name, (channels, side)), steps in zip(VALID.items(), times, strict=True):
        assert found[f"full.{name}"] == (channels, steps, side, side)
    assert found["fc6"] == found["fc7"] == (4096,) and list(found) == [
        *(f"full.{name}" for name in VALID),
        "fc6",
        "fc7",
    ]


def test_convolutions_before_their_pooling_at_170_px():
    """170 -> 54 -> 27 -> 23 -> 11 -> 9 -> 7 -> 5 -> 2."""
    sides = []
    with torch.device("meta"):
        model = build((3, 1, 170, 170), fusion="single", padding="valid")
        for module in model.modules():
            if isinstance(module, nn.Conv3d | nn.MaxPool3d):
                module.register_forward_hook(
                    lambda _, inputs, output: sides.append(output.shape[-1])
                )
        model(torch.empty(2, 3, 1, 170, 170))
    assert sides == [54, 27, 23, 11, 9, 7, 5, 2]


@every_fusion
def test_maps_of_the_paper_are_7_by_7_in_every_stream(fusion):
    steps = TIMES[fusion][-1]
    assert shapes((3, 16, 170, 170), fusion=fusion)["full.conv5"] == (256, steps, 7, 7)
    found = shapes((3, 16, 178, 178), fusion=fusion, streams="multires")
    assert found["context.conv5"] == found["fovea.conv5"] == (256, steps, 7, 7)


def closed_form(
    fusion: str, channels: int, convs, dense, side: int, frames: int = 10, streams: int = 1
) -> int:
    """Weights and biases, layer by layer; ``side`` of the last maps."""
    extents = {"early": [frames], "slow": [4, 2, 2]}.get(fusion, [])
    extents += [1] * (len(convs) - len(extents))
    total = 0
    for (width, kernel, *_), extent in zip(convs, extents, strict=True):
        total += streams * width * (channels * extent * kernel**2 + 1)
        channels = width
    features = streams * channels * side**2 * (2 if fusion == "late" else 1)
    for units in dense:
        total = total + units * (features + 1)
        features = units
    return total


@every_fusion
def test_parameters(fusion):
    with torch.device("meta"):
        valid = build((3, 16, 170, 170), fusion=fusion, padding="valid")
        paper = build((3, 16, 170, 170), fusion=fusion)
        multires = build((3, 16, 178, 178), fusion=fusion, streams="multires")
        small = build((1, 16, 64, 64), fusion=fusion, **SMALL)
        batch = build((1, 16, 64, 64), fusion=fusion, norm="batch", **SMALL)
    dense = (4096, 4096)
    assert count(valid) == closed_form(fusion, 3, ALEXNET, dense, 2)
    assert count(paper) == closed_form(fusion, 3, ALEXNET, dense, 7)
    assert count(multires) == closed_form(fusion, 3, ALEXNET, dense, 7, streams=2)
    assert count(small) == closed_form(fusion, 1, SMALL["convs"], SMALL["dense"], 4)
    # scale and shift after the first two convolutions
    assert count(batch) - count(small) == 2 * (32 + 64)


def test_small_network_for_64_px():
    found = shapes((1, 16, 64, 64), fusion="slow", **SMALL)
    assert [found[f"full.conv{number}"] for number in (1, 2, 3, 4, 5)] == [
        (32, 4, 16, 16),
        (64, 2, 8, 8),
        (96, 1, 8, 8),
        (96, 1, 8, 8),
        (64, 1, 4, 4),
    ]
    assert found["fc6"] == (256,)


def test_first_kernel_of_early_fusion_spans_all_frames():
    with torch.device("meta"):
        model = build((3, 10, 64, 64), fusion="early")
    assert model.full.conv1[0].weight.shape == (96, 3, 10, 11, 11)


def test_reference_entries_are_those_of_the_paper():
    for name in ("fusion_single", "fusion_early", "fusion_late", "fusion_slow", "fusion_multires"):
        entry = systems.catalogue()[name]
        system = systems.system(name)
        shape = entry["clip"]
        with torch.device("meta"):
            model = build(shape, **system.params)
        assert shape[2:] == ([178, 178] if name == "fusion_multires" else [170, 170])
        assert model.get_submodule(model.layers[-3])[0].out_channels == 256
        recipe = system.recipe
        assert (recipe["optimiser"], recipe["lr"], recipe["weight_decay"], recipe["batch"]) == (
            "sgd",
            1e-3,
            5e-4,
            32,
        )


# --- Time. ---


@pytest.mark.parametrize(
    ("fusion", "frames", "read"),
    [
        ("single", 16, [8]),
        ("single", 1, [0]),
        ("single", 5, [2]),
        ("early", 16, range(3, 13)),
        ("slow", 10, range(10)),
        ("early", 13, range(2, 12)),
        ("late", 16, [0, 15]),
        ("late", 18, [1, 16]),
    ],
)
def test_frames_come_from_the_middle(fusion, frames, read):
    assert list(range(frames))[frame_window(fusion, frames, 10, 15)] == list(read)


@every_fusion
def test_frames_outside_the_window_change_nothing(fusion):
    model = build((1, 16, 20, 20), fusion=fusion, **TINY).eval()
    frames = clip(16)
    outside = torch.ones(16, dtype=torch.bool)
    outside[model.window] = False
    changed = frames.clone()
    changed[:, :, outside] = 0
    assert torch.equal(model(frames), model(changed))
    # the same frames in training: nothing is drawn but dropout
    assert model.train()(frames).isfinite().all()


def test_late_fusion_is_one_tower_run_twice():
    model = build(fusion="late", **TINY_SLOW).eval()
    frames = clip()
    tower = [model.full(frames[:, :, [time]]).flatten(1) for time in (1, 6)]
    torch.testing.assert_close(model(frames), model.fc4(torch.cat(tower, 1)))
    single = build(fusion="single", **TINY_SLOW)
    assert count(model.full) == count(single.full)  # one set of weights
    frames.requires_grad_()
    model(frames).sum().backward()
    moved = frames.grad.abs().sum((0, 1, 3, 4)) > 0
    assert moved.nonzero().flatten().tolist() == [1, 6]


def test_slow_fusion_against_overlapping_windows():
    """The first layers by hand: windows of four frames, two apart, by one kernel; then pairs."""
    model = build((1, 10, 20, 20), fusion="slow", norm="batch", **TINY).eval()
    frames = clip(10)
    first = model.full.conv1[0]
    second = model.full.conv2[0]
    by_hand = torch.stack(
        [
            sum(
                F.conv2d(frames[:, :, start + k], first.weight[:, :, k], padding=1)
                for k in range(4)
            )
            + first.bias[:, None, None]
            for start in (0, 2, 4, 6)
        ],
        2,
    )
    torch.testing.assert_close(first(frames), by_hand)
    maps = model.full.conv1(frames)
    pair = (
        sum(F.conv2d(maps[:, :, 2 + k], second.weight[:, :, k], padding=1) for k in range(2))
        + second.bias[:, None, None]
    )
    torch.testing.assert_close(second(maps)[:, :, 1], pair)


# --- Space. ---


def test_context_is_the_2_by_2_mean_and_fovea_the_centre():
    model = build((3, 8, 20, 20), fusion="slow", streams="multires", **TINY_SLOW)
    frames = clip(channels=3)
    mean = frames.unflatten(4, (10, 2)).unflatten(3, (10, 2)).mean((4, 6))
    torch.testing.assert_close(model.view("context", frames), mean)
    assert torch.equal(model.view("fovea", frames), frames[..., 5:15, 5:15])


def test_streams_have_weights_of_their_own_and_half_the_pixels():
    full = build(fusion="slow", **TINY_SLOW)
    both, fovea, context = (
        build(fusion="slow", streams=name, **TINY_SLOW) for name in ("multires", "fovea", "context")
    )
    assert (
        count(both.fovea) == count(both.context) == count(full.full)
        and count(both.fc4) == 2 * count(full.fc4) - 7
    )
    assert [layer.split(".")[0] for layer in both.layers] == ["context"] * 3 + ["fovea"] * 3 + [
        "fc4"
    ]
    frames = clip()
    pixels = [
        sum(model.view(name, frames).numel() for name in model.streams)
        for model in (full, both, fovea, context)
    ]
    assert [value / pixels[0] for value in pixels] == [1, 0.5, 0.25, 0.25]
    # no last pooling in the half streams
    torch.testing.assert_close(both.fc4[0].in_features, full.fc4[0].in_features * 2)


# --- Normalisation. ---


def response_normalised(
    maps: np.ndarray, radius: int, bias: float, alpha: float, beta: float
) -> np.ndarray:
    """tf.nn.local_response_normalization on (B, C, ...) by its formula."""
    result = np.empty_like(maps)
    for channel in range(maps.shape[1]):
        around = maps[:, max(0, channel - radius) : channel + radius + 1]
        result[:, channel] = maps[:, channel] / (bias + alpha * (around**2).sum(1)) ** beta
    return result


@pytest.mark.parametrize("lrn", [LRN, (5, 1.0, 1.0, 0.5)], ids=["AlexNet", "TensorFlow's defaults"])
def test_local_response_normalisation_in_the_meaning_of_tensorflow(lrn):
    convs = [[12, 3, 1, 1], [5, 3, 1, 1], [6, 3, 1, 1]]
    model = build(fusion="single", **{**TINY, "convs": convs}, lrn=lrn).double()
    convolution, rectifier, normalisation = model.full.conv1
    with torch.no_grad():
        maps = rectifier(convolution(50 * clip().double()[:, :, :1]))
        torch.testing.assert_close(
            normalisation(maps).numpy(),
            response_normalised(maps.numpy(), *lrn),
            rtol=1e-9,
            atol=1e-9,
        )
        torchs = nn.LocalResponseNorm(
            2 * lrn[0] + 1, alpha=lrn[2] * (2 * lrn[0] + 1), beta=lrn[3], k=lrn[1]
        )
        torch.testing.assert_close(normalisation(maps), torchs(maps), rtol=1e-9, atol=1e-9)
    assert LRN == (2, 2.0, 1e-4, 0.5)


@pytest.mark.parametrize(
    ("norm", "kind"), [("local", LocalResponseNorm), ("batch", nn.BatchNorm3d)]
)
def test_both_normalisations_stand_in_the_same_places(norm, kind):
    model = build((1, 16, 64, 64), fusion="slow", norm=norm, **SMALL)
    kinds = [[type(part) for part in model.get_submodule(layer)] for layer in model.layers[:-1]]
    plain = [nn.Conv3d, nn.ReLU]
    pooling = [nn.MaxPool3d]
    assert kinds == [[*plain, kind, *pooling]] * 2 + [plain] * 2 + [plain + pooling]


# --- What the claims compute. ---


def test_ensemble_averages_probabilities(tmp_path):
    """One network is wrong about each clip, but less sure than the other, which is right."""
    labels = np.array([[1, 0], [0, 1]], np.uint8)
    ids = ["first", "second"]
    answers = {
        "early": np.array([[0.9, 0.1], [0.6, 0.4]]),
        "late": np.array([[0.4, 0.6], [0.1, 0.9]]),
    }
    attrs = {"dataset": "both", "classes": ["0", "1"], "multi_label": True}
    clips = np.zeros((2, 2, 4, 4), np.uint8)
    for split in ("train", "test"):
        path = tmp_path / "datasets" / "both" / f"{split}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"clips": clips, "labels": labels, "factors": {}}
        write_clips(path, content, {**attrs, "split": split})
    for system, probabilities in answers.items():
        record = tmp_path / "runs" / "both" / system / "seed0" / "run.json"
        record.parent.mkdir(parents=True)
        record.write_text("{}")
        scores = tmp_path / "clip_scores" / "both" / f"both--{system}--seed0.npz"
        scores.parent.mkdir(parents=True, exist_ok=True)
        write_clip_scores(scores, ids, labels, {"test": {"probabilities": probabilities}})
    results = Results(tmp_path)
    assert ensemble(results, ["early"], "both").values.tolist() == [[1, 0]]
    assert ensemble(results, ["late"], "both").values.tolist() == [[0, 1]]
    assert ensemble(results, ["early", "late"], "both").values.tolist() == [[1, 1]]


def test_epochs_to_a_level():
    rows = [
        (1, "validation", "exact_set", 0.1),
        (2, "validation", "exact_set", 0.5),
        (1, "train", "loss", 9.0),
    ]
    history = pd.DataFrame(rows, columns=["epoch", "split", "metric", "value"])
    assert (epochs_to(history, 0.1), epochs_to(history, 0.4), epochs_to(history, 0.6)) == (
        1,
        2,
        float("inf"),
    )


def test_the_shapes_of_the_paper_need_no_run():
    assert CLAIMS[0].measure(None).holds


# --- Errors. ---


@pytest.mark.parametrize(
    ("shape", "params", "message"),
    [
        ((1, 9, 64, 64), {"fusion": "slow"}, "slow fusion spans 10 frames, clips have 9"),
        ((1, 9, 64, 64), {"fusion": "early"}, "early fusion spans 10 frames, clips have 9"),
        ((1, 15, 64, 64), {"fusion": "late"}, "late fusion spans 16 frames, clips have 15"),
        (
            (1, 16, 64, 64),
            {"fusion": "slow", "frames": 8},
            r"slow fusion of 8 frames .* ends in 0 time steps, not in one",
        ),
        ((1, 18, 64, 64), {"fusion": "slow", "frames": 18}, "ends in 2 time steps"),
        (
            (1, 16, 64, 64),
            {"padding": "valid"},
            r"conv3 of \(2, 3, 3\) \(T, H, W\) does not fit on maps of \(2, 2, 2\)",
        ),
        ((1, 16, 8, 8), {}, "too small for pooling"),
        (
            (1, 16, 64, 64),
            {"fusion": "middle"},
            "fusion must be one of single, early, late, slow, got 'middle'",
        ),
        (
            (1, 16, 64, 64),
            {"streams": "both"},
            "streams must be one of full, multires, fovea, context",
        ),
        ((1, 16, 64, 64), {"norm": "layer"}, "norm must be one of local, batch"),
        ((1, 16, 64, 64), {"padding": "full"}, "padding must be one of valid, same"),
        ((1, 16, 64, 64), {"dense": []}, "dense must not be empty"),
    ],
)
def test_errors(shape, params, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        build(shape, **params)
