"""Published networks: their state dicts, their outputs against other code, what uses them."""

import math
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vidrep import models
from vidrep.models.trunk_fusion import FUSIONS, MixFrames, clip_frames, image_frames
from vidrep.models.trunks import TRUNKS
from vidrep.models.trunks.mobilenet_v2 import rounded
from vidrep.models.trunks.trunk import Trunk, resize
from vidrep.models.weights import load_state

SMALL_MOBILE = {"width": 0.25, "settings": [[1, 16, 1, 1], [2, 24, 2, 2]], "head": 16}


def on_meta(name: str, classes: int, **params):
    with torch.device("meta"):
        return TRUNKS[name](classes=classes, **params).eval()


def seeded(network: torch.nn.Module) -> torch.nn.Module:
    """The network with weights drawn from NumPy in the order of their sorted names."""
    rng = np.random.default_rng(0)
    state = {}
    for name, tensor in sorted(network.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        values = rng.standard_normal(tuple(tensor.shape)).astype(np.float32)
        if tensor.ndim > 1:
            values *= np.sqrt(2 / np.prod(tensor.shape[1:]), dtype=np.float32)
        elif name.endswith("running_var"):
            values = 1 + 0.1 * np.abs(values)
        else:
            values = 0.1 * values + (1 if name.endswith("weight") else 0)
        state[name] = torch.from_numpy(np.asarray(values, np.float32))
    load_state(network, state, "seeded")
    return network.eval()


# --- Names and shapes, from the structure of the papers and the naming of the public code. ---

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def normalised(conv: str, norm: str, shape: tuple) -> dict[str, tuple]:
    """A convolution without bias and its batch normalisation."""
    return {f"{conv}.weight": shape} | {
        f"{norm}.{part}": () if part == "num_batches_tracked" else shape[:1] for part in NORM
    }


def dense(name: str, outputs: int, inputs: int, *kernel: int) -> dict[str, tuple]:
    return {f"{name}.weight": (outputs, inputs, *kernel), f"{name}.bias": (outputs,)}


def vgg19_names() -> dict[str, tuple]:
    names = {}
    channels = 3
    index = 0
    for width, convolutions in [(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)]:
        for _ in range(convolutions):  # each followed by a ReLU
            names |= dense(f"features.{index}", width, channels, 3, 3)
            channels = width
            index = index + 2
        index += 1  # the pool
    sizes = [(0, 4096, 512 * 49), (3, 4096, 4096), (6, 1000, 4096)]
    return names | {
        key: shape
        for number, *size in sizes
        for key, shape in dense(f"classifier.{number}", *size).items()
    }


def mobilenet_names() -> dict[str, tuple]:
    names = normalised("features.0.0", "features.0.1", (32, 3, 3, 3))
    channels = 32
    index = 1
    for t, c, n, _ in [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]:
        for _ in range(n):
            block = f"features.{index}.conv"
            hidden = t * channels
            part = 0
            if t > 1:
                names |= normalised(f"{block}.0.0", f"{block}.0.1", (hidden, channels, 1, 1))
                part = 1
            names |= normalised(f"{block}.{part}.0", f"{block}.{part}.1", (hidden, 1, 3, 3))
            names |= normalised(f"{block}.{part + 1}", f"{block}.{part + 2}", (c, hidden, 1, 1))
            channels = c
            index = index + 1
    names |= normalised(f"features.{index}.0", f"features.{index}.1", (1280, 320, 1, 1))
    return names | dense("classifier.1", 1000, 1280)


# table 1 of the GoogLeNet paper (arXiv 1409.4842), last line of each row: pool projection
INCEPTION = {
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}


def i3d_names() -> dict[str, tuple]:
    def unit(name, outputs, inputs, kernel):
        return normalised(f"{name}.conv3d", f"{name}.bn", (outputs, inputs, kernel, kernel, kernel))

    names = (
        unit("Conv3d_1a_7x7", 64, 3, 7)
        | unit("Conv3d_2b_1x1", 64, 64, 1)
        | unit("Conv3d_2c_3x3", 192, 64, 3)
    )
    for row, (inputs, b0, b1a, b1b, b2a, b2b, b3b) in INCEPTION.items():
        module = f"Mixed_{row}"
        names |= (
            unit(f"{module}.b0", b0, inputs, 1)
            | unit(f"{module}.b1a", b1a, inputs, 1)
            | unit(f"{module}.b1b", b1b, b1a, 3)
        )
        names |= (
            unit(f"{module}.b2a", b2a, inputs, 1)
            | unit(f"{module}.b2b", b2b, b2a, 3)
            | unit(f"{module}.b3b", b3b, inputs, 1)
        )
    return names | dense("logits.conv3d", 400, 1024, 1, 1, 1)


PUBLISHED = {  # names and shapes, classes, number of parameters
    "vgg19": (vgg19_names, 1000, 143_667_240),
    "mobilenet_v2": (mobilenet_names, 1000, 3_504_872),
    "i3d": (i3d_names, 400, 12_697_264),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_state_dicts_are_called_and_shaped_as_published(name):
    names, classes, parameters = PUBLISHED[name]
    network = on_meta(name, classes)
    expected = names()
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == expected
    learnt = [
        shape for key, shape in expected.items() if not re.search(r"running_|num_batches", key)
    ]
    assert sum(map(math.prod, learnt)) == sum(p.numel() for p in network.parameters()) == parameters


def test_parameters_of_the_digit_cnn():
    counts = [32 * 26, 64 * (32 * 25 + 1), 1024 * (64 * 49 + 1), 10 * 1025]
    assert sum(p.numel() for p in on_meta("digit_cnn", 10).parameters()) == sum(counts) == 3_274_634


def test_maps_at_224_pixels():
    """Strides of the papers: 224 / 2 ... / 32, and time halved three times in I3D."""
    expected = {
        "vgg19": [(64, 112), (128, 56), (256, 28), (512, 14), (512, 7)],
        "mobilenet_v2": [
            (32, 112),
            (16, 112),
            (24, 56),
            (32, 28),
            (64, 14),
            (96, 14),
            (160, 7),
            (320, 7),
            (1280, 7),
        ],
    }
    with torch.device("meta"):
        for name, maps in expected.items():
            network = TRUNKS[name](classes=1000).eval()
            x = torch.empty(1, 3, 224, 224)
            assert network(x).shape == (1, 1000)
            for names, (channels, side) in zip(network.groups.values(), maps, strict=True):
                for part in names:
                    x = network.get_submodule(part)(x)
                assert x.shape == (1, channels, side, side)
            assert network.pool(x).shape == (1, network.size)
        network = TRUNKS["i3d"](classes=400).eval()
        x = torch.empty(1, 3, 64, 224, 224)
        assert network(x).shape == (1, 400)
        sizes = [(64, 32, 112), (192, 32, 56), (480, 32, 28), (832, 16, 14), (1024, 8, 7)]
        for names, (channels, steps, side) in zip(network.groups.values(), sizes, strict=True):
            for part in names:
                x = network.get_submodule(part)(x)
            assert x.shape == (1, channels, steps, side, side)
        assert network.windows(x).shape == (1, 1024, 7, 1, 1), "the published 2 x 7 x 7 average"
        assert network.pool(x).shape == (1, 1024)


# --- Outputs against other code. ---

IMAGES = np.random.default_rng(1).random((2, 3, 64, 64), dtype=np.float32) * 2 - 1
# First four scores of torchvision 0.28's mobilenet_v2 with the weights of ``seeded``, as it is and
# with its five stride-2 convolutions set to padding 0 behind F.pad(x, (0, 1, 0, 1)); mean over the
# map of the first channels of its vgg19().features.
MOBILENET_SYMMETRIC = [
    [2.490067, -1.730943, 1.520312, -0.703496],
    [1.728566, -0.907395, 1.728906, -0.132840],
]
MOBILENET_SAME = [
    [0.417168, -2.001804, 0.849759, -1.158322],
    [0.583783, -2.121081, 2.748098, -2.616461],
]
VGG19_MAPS = [[1.100744, 2.420399, 1.967696, 0.223218], [0.976971, 2.111598, 2.080016, 0.232836]]


@pytest.mark.parametrize(
    ("record", "expected"), [("torchvision", MOBILENET_SYMMETRIC), ("tensorflow", MOBILENET_SAME)]
)
def test_mobilenet_gives_the_scores_of_torchvision(record, expected):
    network = seeded(TRUNKS["mobilenet_v2"](classes=1000, preprocessing=record))
    with torch.no_grad():
        scores = network(torch.from_numpy(IMAGES))[:, :4]
    # 53 layers of float32 in another order
    torch.testing.assert_close(scores, torch.tensor(expected), rtol=1e-3, atol=1e-3)


def test_vgg19_gives_the_maps_of_torchvision():
    network = seeded(TRUNKS["vgg19"]())
    with torch.no_grad():
        maps = network.features(torch.from_numpy(IMAGES))
    torch.testing.assert_close(
        maps.mean((2, 3))[:, :4], torch.tensor(VGG19_MAPS), rtol=1e-3, atol=1e-3
    )


def plain_i3d(state: dict, clips: torch.Tensor) -> torch.Tensor:
    """I3D written from its published names alone.

    Padding follows TensorFlow's formula: output ceil(n / s), the odd pixel last.
    """

    def padded(x, kernel, stride):
        pads = []
        for n, k, s in zip(x.shape[2:], kernel, stride, strict=True):
            total = max((math.ceil(n / s) - 1) * s + k - n, 0)
            pads = [total // 2, total - total // 2, *pads]
        return F.pad(x, pads)

    def unit(x, name, stride=1):
        weight = state[f"{name}.conv3d.weight"]
        x = F.conv3d(padded(x, weight.shape[2:], (stride,) * 3), weight, stride=stride)
        norm = [
            state[f"{name}.bn.{part}"][:, None, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        ]
        return ((x - norm[0]) / (norm[1] + 1e-3).sqrt() * norm[2] + norm[3]).relu()

    def pool(x, kernel, stride):
        return F.max_pool3d(padded(x, kernel, stride), kernel, stride)

    def mixed(x, name):
        one = unit(x, f"{name}.b0")
        two = unit(unit(x, f"{name}.b1a"), f"{name}.b1b")
        three = unit(unit(x, f"{name}.b2a"), f"{name}.b2b")
        four = unit(pool(x, (3, 3, 3), (1, 1, 1)), f"{name}.b3b")
        return torch.cat([one, two, three, four], 1)

    x = pool(unit(clips, "Conv3d_1a_7x7", 2), (1, 3, 3), (1, 2, 2))
    x = pool(unit(unit(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3"), (1, 3, 3), (1, 2, 2))
    for rows, kernel in (("3b 3c", (3, 3, 3)), ("4b 4c 4d 4e 4f", (2, 2, 2)), ("5b 5c", None)):
        for row in rows.split():
            x = mixed(x, f"Mixed_{row}")
        x = pool(x, kernel, (2, 2, 2)) if kernel else x
    steps = x.mean((3, 4))  # (B, C, T)
    windows = torch.stack(
        [steps[..., i : i + 2].mean(-1) for i in range(max(1, steps.shape[-1] - 1))], -1
    )
    return (
        torch.einsum("oc,bct->bot", state["logits.conv3d.weight"][:, :, 0, 0, 0], windows)
    ).mean(-1) + state["logits.conv3d.bias"]


@pytest.mark.parametrize("shape", [(19, 33, 40), (3, 17, 20)], ids=["three steps", "one step"])
def test_i3d_against_a_plain_version(shape):
    network = seeded(TRUNKS["i3d"](width=0.125, classes=7))
    clips = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            network(clips), plain_i3d(network.state_dict(), clips), rtol=1e-3, atol=1e-4
        )


def test_rounding_of_channels():
    """Values of the paper's public code: multiples of 8, never less than 90 %."""
    assert [rounded(c * 0.35) for c in (16, 24, 32, 64, 96, 160, 320)] == [
        8,
        8,
        16,
        24,
        32,
        56,
        112,
    ]
    assert [rounded(c) for c in (1, 12, 19.9, 22.4, 100)] == [8, 16, 24, 24, 104]


# --- Trunks in video models. ---


def test_frames_are_prepared_as_the_network_wants_them():
    clip = torch.rand(2, 1, 3, 20, 30)
    trunk = Trunk("mobilenet_v2", (1, 20, 30), image_px=40, params=SMALL_MOBILE)
    frames = trunk.prepare(clip)
    assert frames.shape == (6, 3, 40, 60) and torch.equal(frames[:, 0], frames[:, 2])
    expected = F.interpolate(clip[1, :, 2][None], size=(40, 60), mode="bilinear") * 2 - 1
    torch.testing.assert_close(frames[5, :1], expected[0])
    colour = torch.rand(1, 3, 2, 40, 50)  # large enough: not resized
    vgg = Trunk("vgg19", (3, 40, 50), image_px=32, params={"width": 0.05}).prepare(colour)
    torch.testing.assert_close(vgg[1, 2], (colour[0, 2, 1] - 0.406) / 0.225)
    digits = Trunk("digit_cnn", (3, 40, 50)).prepare(colour)
    assert digits.shape == (2, 1, 28, 28) and digits.min() >= 0


def test_shrinking_averages():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 1::2] = 1.0  # stripes of one pixel
    assert resize(image, (2, 2))[0, 0, 0, 0].item() == pytest.approx(0.5, abs=0.05)
    assert resize(image, (8, 8)) is image


@pytest.mark.parametrize("name", ["mobilenet_v2", "i3d"])
def test_unfolded_maps_are_those_of_each_piece(name):
    params = SMALL_MOBILE if name == "mobilenet_v2" else {"width": 0.0625}
    length = 1 if name == "mobilenet_v2" else 8
    trunk = Trunk(name, (1, 20, 20), length=length, image_px=20, params=params).eval()
    clip = torch.rand(2, 1, 16, 20, 20)
    captured = {}
    for layer in trunk.layers:
        trunk.get_submodule(layer).register_forward_hook(
            lambda module, inputs, output, layer=layer: captured.update({layer: output})
        )
    with torch.no_grad():
        vectors = trunk(clip)
        whole = dict(captured)
        pieces = [(trunk(part), dict(captured)) for part in clip.split(length, 2)]
    assert vectors.shape == (2, 16 // length, trunk.size)
    torch.testing.assert_close(vectors, torch.cat([vector for vector, _ in pieces], 1))
    for layer in trunk.layers[:-1]:
        torch.testing.assert_close(whole[layer], torch.cat([maps[layer] for _, maps in pieces], 2))


def test_frozen_trunks_stay_as_they_are():
    torch.manual_seed(0)
    params = {
        "trunk": "mobilenet_v2",
        "image_px": 20,
        "trunk_params": SMALL_MOBILE,
        "fusion": "early",
        "frames": 8,
    }
    frozen = models.create("trunk_fusion", clip_shape=(1, 8, 20, 20), **params).train()
    before = {name: tensor.clone() for name, tensor in frozen.trunk.state_dict().items()}
    assert not any(module.training for module in frozen.trunk.net.modules()) and frozen.mix.training
    frozen(torch.rand(4, 1, 8, 20, 20)).sum().backward()
    assert {name for name, parameter in frozen.named_parameters() if parameter.requires_grad} == {
        "mix.weight",
        "mix.bias",
    }
    assert frozen.mix.weight.grad.abs().sum() > 0, "the gradient passes through the frozen network"
    assert all(
        torch.equal(before[name], tensor) for name, tensor in frozen.trunk.state_dict().items()
    )
    trained = models.create(
        "trunk_fusion", clip_shape=(1, 8, 20, 20), train_trunk=True, **params
    ).train()
    assert (
        all(parameter.requires_grad for parameter in trained.parameters())
        and trained.trunk.net.training
    )


def test_frames_of_each_fusion():
    assert image_frames("single", 16, None, 15) == [8]
    assert image_frames("late", 16, None, 15) == [0, 15] and image_frames("late", 20, None, 15) == [
        2,
        17,
    ]
    assert image_frames("slow", 16, 10, 15) == list(range(3, 13)) and image_frames(
        "early", 5, None, 15
    ) == list(range(5))
    assert clip_frames("single", 6, 4) == ([3] * 6, 6) and clip_frames("early", 6, 4) == (
        list(range(6)),
        6,
    )
    assert clip_frames("late", 6, 4)[1] == 3 and clip_frames("slow", 8, 4)[1] == 2


def test_slow_fusion_of_ten_frames_merges_to_one_step():
    with torch.device("meta"):
        model = models.create("trunk_fusion", clip_shape=(1, 10, 20, 20), fusion="slow").eval()
        maps = model.trunk(torch.empty(1, 1, 10, 20, 20))
        steps = []
        for name in model.merged:
            maps = model.get_submodule(name)(maps)
            steps.append(maps.shape[2])
    assert steps == [4, 2, 1], "as in the paper"


def test_what_each_fusion_sees():
    """All fusions but that of a single frame see late frames and the order of frames."""
    torch.manual_seed(0)
    clip = torch.rand(1, 3, 16, 20, 20)
    for fusion in FUSIONS:
        model = models.create(
            "trunk_fusion",
            clip_shape=(3, 16, 20, 20),
            fusion=fusion,
            image_px=20,
            trunk_params=SMALL_MOBILE,
        ).eval()
        changed = clip.clone()
        turned = clip.clone()
        changed[:, :, 12:] = 0
        turned[:, :, :8], turned[:, :, 9:] = clip[:, :, :8].flip(2), clip[:, :, 9:].flip(2)
        turned[:, :, [0, 15]] = clip[:, :, [15, 0]]
        with torch.no_grad():
            same = [
                torch.allclose(model(clip), model(other), atol=1e-6) for other in (changed, turned)
            ]
        assert same == ([True, True] if fusion == "single" else [False, False]), fusion


def test_early_fusion_starts_as_averages_of_thirds():
    clip = torch.rand(2, 3, 10, 4, 4)
    grey = clip.mean(1)  # (B, T, H, W)
    expected = torch.stack([grey[:, 0:3].mean(1), grey[:, 3:6].mean(1), grey[:, 6:10].mean(1)], 1)
    torch.testing.assert_close(MixFrames(3, 10)(clip)[:, :, 0], expected)
    torch.testing.assert_close(MixFrames(1, 2)(clip[:, :1, :2])[:, 1, 0], clip[:, 0, :2].mean(1))


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_frame_pooling_knows_no_order(pooling):
    torch.manual_seed(0)
    model = models.create(
        "frame_pooling", clip_shape=(1, 6, 12, 12), pooling=pooling, convs=[[4, 3, 2]]
    ).eval()
    clip = torch.rand(2, 1, 6, 12, 12)
    torch.testing.assert_close(model(clip), model(clip[:, :, [3, 5, 0, 1, 4, 2]]))
    frames = model.cnn(clip)
    if pooling == "mean":
        torch.testing.assert_close(model(clip), frames.sum(1) / 6)
        return
    first, _, last = model.embedding.gate
    scores = torch.tanh(frames @ first.weight.T + first.bias) @ last.weight[0]
    weights = scores.exp() / scores.exp().sum(1, keepdim=True)
    torch.testing.assert_close(model(clip), torch.einsum("bt,btd->bd", weights, frames))


def test_recurrent_layers_read_frames_in_order():
    torch.manual_seed(0)
    model = models.create(
        "trunk_rnn", clip_shape=(1, 6, 20, 20), trunk="digit_cnn", units=5, num_layers=2
    ).eval()
    clip = torch.rand(2, 1, 6, 20, 20)
    late = clip.clone()
    late[:, :, 4:] = 0
    assert torch.allclose(model(late)[:, :4], model(clip)[:, :4]) and not torch.allclose(
        model(late)[:, 4:], model(clip)[:, 4:]
    )


@pytest.mark.parametrize(
    ("name", "shape", "params", "message"),
    [
        (
            "trunk_fusion",
            (1, 16, 20, 20),
            {"trunk": "vgg16"},
            "trunk must be one of vgg19, mobilenet_v2, i3d, got 'vgg16'",
        ),
        (
            "trunk_fusion",
            (1, 16, 20, 20),
            {"fusion": "mid"},
            "fusion must be one of single, early, late, slow, got 'mid'",
        ),
        ("trunk_fusion", (1, 15, 20, 20), {"fusion": "late"}, "no two of 15 frames lie 15 apart"),
        ("trunk_fusion", (1, 8, 20, 20), {"fusion": "slow"}, "10 frames wanted, clips have 8"),
        (
            "trunk_fusion",
            (1, 9, 20, 20),
            {"fusion": "slow", "frames": None},
            "9 steps are too few for temporal convolutions",
        ),
        (
            "trunk_fusion",
            (1, 9, 20, 20),
            {"trunk": "i3d", "fusion": "late"},
            "9 frames cannot be cut into 2 pieces",
        ),
        (
            "trunk_fusion",
            (1, 9, 20, 20),
            {"trunk": "i3d", "fusion": "slow"},
            "9 frames cannot be cut into 4 pieces",
        ),
        ("trunk_fusion", (2, 16, 20, 20), {}, "takes grey or RGB clips, got 2 channels"),
        (
            "trunk_fusion",
            (1, 16, 20, 20),
            {"trunk": "vgg19", "image_px": 31},
            "needs images of 32 px, got 31 x 31",
        ),
        (
            "trunk_fusion",
            (1, 16, 20, 20),
            {"trunk_params": {"widht": 2}},
            "trunk mobilenet_v2: .*'widht'",
        ),
        (
            "trunk_fusion",
            (1, 16, 20, 20),
            {"trunk_params": {"preprocessing": "none"}},
            "preprocessing must be one of tensorflow, torchvision",
        ),
        (
            "trunk_rnn",
            (1, 16, 20, 20),
            {"trunk": "digit_cnn", "image_px": 32},
            "image_px must be 28, got 32",
        ),
        ("trunk_rnn", (1, 16, 20, 20), {"trunk": "i3d"}, "trunk must be an image network"),
        ("trunk_rnn", (1, 16, 20, 20), {"cell": "rnn"}, "cell one of lstm, gru"),
        ("frame_pooling", (1, 16, 20, 20), {"pooling": "max"}, "pooling one of mean, attention"),
        ("frame_pooling", (1, 16, 2, 2), {}, "too small for pooling"),
    ],
)
def test_impossible_trunks(name, shape, params, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message) as error:
        models.create(name, clip_shape=shape, **params)
    assert "\n" not in str(error.value)
