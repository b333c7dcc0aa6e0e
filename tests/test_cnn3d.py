"""3-D CNNs: data flow of pseudo-3-D blocks, parameters in closed form, the single-label head."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from studies.fidelity.gbpcosta_framework import label_shift
from vidrep import models
from vidrep.models.p3d import PseudoBlock
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.systems import system

REFERENCE = DataShape((1, 16, 64, 64), 10, multi_label=True)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(name: str, shape: DataShape = REFERENCE) -> nn.Module:
    with torch.device("meta"):
        return build(system(name).definition(), shape)


# --- P3D blocks. ---


def unlike_fresh(module: nn.Module) -> nn.Module:
    """The module in evaluation, its batch normalisations with statistics that do something."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm3d):
            for values in (norm.running_mean, norm.weight.data, norm.bias.data):
                values.normal_()
            norm.running_var.uniform_(0.5, 2.0)
    return module.eval()


def functional(
    layer: nn.Sequential, maps: torch.Tensor, *, stride: int = 1, relu: bool = True
) -> torch.Tensor:
    """Convolution with zeros around the map, batch normalisation, ReLU; from the weights alone."""
    convolution = layer[0]
    norm = layer[1]
    padding = [size // 2 for size in convolution.weight.shape[2:]]
    maps = F.conv3d(maps, convolution.weight, convolution.bias, stride, padding)
    mean = norm.running_mean[:, None, None, None]
    scale = (norm.running_var + 1e-3).rsqrt()[:, None, None, None]
    maps = (maps - mean) * scale * norm.weight[:, None, None, None] + norm.bias[:, None, None, None]
    return maps.clamp_min(0) if relu else maps


FLOWS = {
    "a": lambda s, t, x: t(s(x)),
    "b": lambda s, t, x: s(x) + t(x),
    "c": lambda s, t, x: s(x) + t(s(x)),
}


@pytest.mark.parametrize(
    ("channels_in", "stride"), [(8, 1), (8, 2), (6, 1)], ids=["identity", "strided", "wider"]
)
@pytest.mark.parametrize("kind", FLOWS)
def test_pseudo_blocks_against_their_definition(kind, channels_in, stride):
    torch.manual_seed(0)
    block = unlike_fresh(PseudoBlock(channels_in, 8, kind=kind, stride=stride))
    assert block.space[0].weight.shape == (2, 2, 1, 3, 3) and block.time[0].weight.shape == (
        2,
        2,
        3,
        1,
        1,
    )
    maps = torch.randn(2, channels_in, 5, 6, 7)

    def space(x):
        return functional(block.space, x)

    def time(x):
        return functional(block.time, x)

    inner = FLOWS[kind](space, time, functional(block.reduce, maps, stride=stride))
    projected = (channels_in, stride) != (8, 1)
    assert isinstance(block.shortcut, nn.Identity) == (not projected)
    shortcut = functional(block.shortcut, maps, stride=stride, relu=False) if projected else maps
    expected = (functional(block.expand, inner, relu=False) + shortcut).clamp_min(0)
    before = maps.clone()
    torch.testing.assert_close(block(maps), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(maps, before), "a block must not write into its input"
    assert block(maps).shape == (2, 8, *((5, 6, 7) if stride == 1 else (3, 3, 4)))


def test_p3d_cycles_through_its_kinds():
    kinds = {}
    for blocks in ("abc", "b"):
        model = models.create(
            "p3d", clip_shape=(1, 4, 8, 8), blocks=blocks, depth=26, widths=[4, 8, 8, 8, 8]
        )
        kinds[blocks] = "".join(model.get_submodule(f"res{number}").kind for number in range(8))
    assert kinds == {"abc": "abcabcab", "b": "bbbbbbbb"}


@pytest.mark.parametrize(("depth", "blocks"), [(14, 4), (26, 8), (50, 16), (101, 33), (152, 50)])
def test_p3d_depths(depth, blocks):
    with torch.device("meta"):
        model = models.create("p3d", clip_shape=(3, 16, 64, 64), depth=depth)
    assert model.layers == ("stem", *(f"res{number}" for number in range(blocks)), "embedding")


def test_p3d_sizes_of_the_reference_maps():
    with torch.device("meta"):
        model = models.create("p3d", clip_shape=(1, 16, 64, 64))
        maps = torch.empty(1, 1, 16, 64, 64)
        sizes = {}
        for name in model.layers:
            maps = model.get_submodule(name)(maps)
            sizes[name] = tuple(maps.shape[1:])
    assert (
        sizes["stem"] == (64, 16, 32, 32)
        and sizes["res2"] == (256, 16, 32, 32)
        and sizes["res6"] == (512, 8, 16, 16)
    )
    assert (
        sizes["res12"] == (1024, 4, 8, 8)
        and sizes["res15"] == (2048, 2, 4, 4)
        and sizes["embedding"] == (2048,)
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"blocks": "d"}, "blocks must be one of a, b, c, abc, got 'd'"),
        ({"depth": 18}, "depth must be one of 14, 26, 50, 101, 152, got 18"),
        (
            {"widths": [8, 16, 16, 16]},
            "widths must be five numbers, those of the stages multiples of 4",
        ),
        (
            {"widths": [8, 16, 18, 16, 16]},
            "widths must be five numbers, those of the stages multiples of 4",
        ),
    ],
)
def test_impossible_p3d(params, message):
    with pytest.raises(ValueError, match=message):
        models.create("p3d", clip_shape=(1, 16, 20, 20), **params)


# --- Parameter counts, in closed form. ---


def conv_norm(before: int, after: int, volume: int) -> int:
    """Weights and biases of a convolution, scales and shifts of its batch normalisation."""
    return after * (before * volume + 1) + 2 * after


def residual_network(stem: int, widths: list[int], blocks: tuple[int, ...], block) -> int:
    """Stem, then ``block(before, after)``, with a projection where a stage changes sizes."""
    total = stem
    before = widths[0]
    for stage, (after, number) in enumerate(zip(widths[1:], blocks, strict=True)):
        for i in range(number):
            total += block(before, after)
            if i == 0 and (stage > 0 or before != after):
                total += conv_norm(before, after, 1)
            before = after
    return total


def full(before: int, after: int) -> int:
    return conv_norm(before, after, 27) + conv_norm(after, after, 27)


def factorised(before: int, after: int) -> int:
    total = 0
    for channels in (before, after):
        middle = 3 * channels * after * 9 // (channels * 9 + 3 * after)
        total += conv_norm(channels, middle, 9) + conv_norm(middle, after, 3)
    return total


def pseudo(before: int, after: int) -> int:
    inner = after // 4
    return (
        conv_norm(before, inner, 1)
        + conv_norm(inner, inner, 9)
        + conv_norm(inner, inner, 3)
        + conv_norm(inner, after, 1)
    )


SMALL = [32, 32, 64, 64, 128]
LARGE = [64, 64, 128, 256, 512]
EIGHTEEN = (2, 2, 2, 2)
PUBLISHED_P3D = [64, 256, 512, 1024, 2048]


@pytest.mark.parametrize(
    ("name", "widths", "stem", "block", "millions"),
    [
        ("r3d_18_small", SMALL, conv_norm(1, 32, 147), full, 2.59),
        ("r3d_18_large", LARGE, conv_norm(1, 64, 147), full, 33.5),
        ("r2plus1d_18_small", SMALL, conv_norm(1, 32, 49) + conv_norm(32, 32, 3), factorised, 2.59),
        ("r2plus1d_18_large", LARGE, conv_norm(1, 64, 49) + conv_norm(64, 64, 3), factorised, 33.5),
    ],
)
def test_parameters_of_the_18_layer_networks(name, widths, stem, block, millions):
    objective = on_meta(name)
    head = 20 * (widths[-1] * 2 * 4 * 4 + 1)
    assert count(objective) == residual_network(stem, widths, EIGHTEEN, block) + head
    assert count(objective) / 1e6 == pytest.approx(millions, rel=0.005)


FIVE = [(1, 32, 147), (32, 32, 27), (32, 64, 27), (64, 64, 27), (64, 128, 27)]
FOUR = [(1, 64, 27), (64, 64, 27), (64, 128, 27), (128, 128, 27)]


@pytest.mark.parametrize(
    ("name", "parameters", "millions"),
    [
        ("c3d_large", 44_482_324, 44.5),
        ("c3d_five", sum(conv_norm(*sizes) for sizes in FIVE) + 20 * (4096 + 1), 0.50),
        (
            "c3d_four",
            sum(conv_norm(*sizes) for sizes in FOUR) + 1024 * (4096 + 1) + 20 * (1024 + 1),
            4.99,
        ),
    ],
)
def test_parameters_of_c3d_variants(name, parameters, millions):
    assert count(on_meta(name)) == parameters and parameters / 1e6 == pytest.approx(
        millions, abs=0.01 if millions < 10 else 0.05
    )


@pytest.mark.parametrize("name", ["p3d", "p3d_a", "p3d_b", "p3d_c"])
def test_parameters_of_p3d(name):
    objective = on_meta(name)
    expected = residual_network(conv_norm(1, 64, 49), PUBLISHED_P3D, (3, 4, 6, 3), pseudo)
    assert count(objective.model) == expected and count(objective) == expected + 20 * 2049


def test_p3d_is_a_resnet_50_with_time_convolutions():
    """A 2-D ResNet-50 for colour has 25,557,032 parameters.

    That is with its head of 1000 classes and without biases of convolutions.
    """
    with torch.device("meta"):
        model = models.create("p3d", clip_shape=(3, 16, 64, 64))
    biases = sum(layer.bias.numel() for layer in model.modules() if isinstance(layer, nn.Conv3d))
    time = sum(
        blocks * (3 * inner**2 + 2 * inner)
        for blocks, inner in ((3, 64), (4, 128), (6, 256), (3, 512))
    )
    assert count(model) - biases - time == 25_557_032 - 1000 * 2049


# --- The single-label head. ---


def test_single_label_head_of_c3d_against_the_definition():
    """Sigmoid cross-entropy of one output a class, averaged over all; the largest output wins."""
    shape = DataShape((1, 8, 16, 16), 6, multi_label=False)
    torch.manual_seed(0)
    objective = build(system("c3d_narrow").definition(), shape).eval()
    batch = {"clip": torch.rand(5, *shape.clip), "labels": torch.eye(6)[[0, 3, 3, 5, 1]]}
    assert objective.heads["all"].out_features == 6
    with torch.no_grad():
        outputs = objective.heads["all"](objective.model(batch["clip"])).double().numpy()
    probability = 1 / (1 + np.exp(-outputs))
    truth = batch["labels"].numpy()
    entropy = -(truth * np.log(probability) + (1 - truth) * np.log(1 - probability))
    assert objective.loss(batch).item() == pytest.approx(entropy.mean(), rel=1e-5)
    with torch.no_grad():
        read = objective.probabilities(objective.logits(batch))[""]
        scores = objective.score(batch)
    np.testing.assert_allclose(read, probability, rtol=1e-5)  # a sigmoid, not a softmax
    assert (
        scores["exact_set"].tolist()
        == (outputs.argmax(1) == [0, 3, 3, 5, 1]).astype(float).tolist()
    )
    np.testing.assert_allclose(scores["loss"], entropy.mean(1), rtol=1e-5)


# --- What the framework's claims are measured with. ---


class Fixed(nn.Module):
    """Stands in for an objective and always predicts the same sets."""

    def __init__(self, sets: list[list[int]]):
        super().__init__()
        self.sets = torch.tensor(sets).bool()

    def logits(self, batch):
        return {"": batch["clip"]}

    def probabilities(self, logits):
        return logits

    def predict(self, probabilities):
        return self.sets


def test_label_shift_counts_how_many_classes_answers_are_off(make_split):
    split = make_split(3)
    split.labels = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]], dtype=torch.uint8)
    objective = Fixed([[0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]])
    # Labels 0 and 1 answered with 2: +1.5; 3 answered with 1 and 3: -1; no answer: left out.
    shift, error = label_shift(objective, split)
    assert shift == pytest.approx(0.25) and error == pytest.approx(
        np.std([1.5, -1.0], ddof=1) / 2**0.5
    )
