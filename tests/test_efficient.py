"""Efficient video CNNs: what the shift and the two pathways see; weights at published sizes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vidrep import models, systems
from vidrep.models.tsm import TemporalShift
from vidrep.objectives.build import build
from vidrep.training.cost import count_macs

TINY_TSM = {"widths": [8, 16], "blocks": [1, 2], "stem_kernel": 3, "stem_pool": False}
TINY_SLOWFAST = {"alpha": 4, "width": 8, "blocks": [1, 1, 1], "stem_kernel": 3, "stem_pool": False}


def create(name: str, frames: int = 8, **params) -> nn.Module:
    torch.manual_seed(0)
    return models.create(name, clip_shape=(1, frames, 16, 16), **params).eval()


def clips(frames: int = 8) -> torch.Tensor:
    return torch.rand(2, 1, frames, 16, 16, generator=torch.Generator().manual_seed(1))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# --- Temporal shift. ---


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_shift_against_a_loop(frames):
    maps = torch.randn(2, 8, frames, 3, 3)
    expected = np.zeros(maps.shape, np.float32)
    for t in range(frames):
        if t + 1 < frames:
            expected[:, 0:2, t] = maps[:, 0:2, t + 1]
        if t > 0:
            expected[:, 2:4, t] = maps[:, 2:4, t - 1]
        expected[:, 4:, t] = maps[:, 4:, t]
    assert np.array_equal(TemporalShift(2)(maps).numpy(), expected)


def test_every_block_shifts_an_eighth_each_way_inside_its_residual_branch():
    model = create("tsm", **TINY_TSM)
    shifts = {
        name: module.channels
        for name, module in model.named_modules()
        if isinstance(module, TemporalShift)
    }
    # of 8, 8 and 16 incoming channels
    assert shifts == {"res0.residual.0": 1, "res1.residual.0": 1, "res2.residual.0": 2}


def test_shift_costs_no_weights_and_no_multiply_adds(make_split, cpu):
    split = make_split(1)
    costs = []
    for shift in (0, 0.125):
        definition = {"name": "tiny", "model": "tsm", "params": {**TINY_TSM, "shift": shift}}
        objective = build(
            {**definition, "objective": "classification", "objective_params": {}}, split.shape
        )
        costs.append((count(objective), count_macs(objective, split, cpu)))
    assert costs[0] == costs[1] and costs[0][1] > 0


def test_without_shift_the_order_of_frames_does_not_matter_and_with_it_it_does():
    clip = clips()
    order = [3, 0, 5, 1, 7, 4, 2, 6]
    without = create("tsm", shift=0, **TINY_TSM)
    with_shift = create("tsm", **TINY_TSM)
    # a mean in another order
    torch.testing.assert_close(without(clip[:, :, order]), without(clip), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(with_shift(clip[:, :, order]), with_shift(clip), rtol=1e-2)
    frames = torch.stack(
        [create("tsm", frames=1, shift=0, **TINY_TSM)(clip[:, :, [t]]) for t in range(8)]
    )
    torch.testing.assert_close(without(clip), frames.mean(0), rtol=1e-5, atol=1e-6)


def test_each_shifted_block_reaches_one_frame_further():
    model = create("tsm", **TINY_TSM)
    clip = clips()
    other = clip.clone()
    other[:, :, 4] = 0
    a = model.stem(clip)
    b = model.stem(other)
    reached = []
    for name in ("res0", "res1", "res2"):
        a = model.get_submodule(name)(a)
        b = model.get_submodule(name)(b)
        reached.append((a - b).abs().amax((0, 1, 3, 4)).nonzero().flatten().tolist())
    assert reached == [[3, 4, 5], [2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7]]


def test_parameters_of_resnet_18():
    with torch.device("meta"):
        model = models.create("tsm", clip_shape=(3, 8, 224, 224))
    # as every library counts it, without the classifier
    assert count(model) == 11_689_512 - 1000 * (512 + 1)


# --- SlowFast. ---


def test_the_slow_pathway_sees_every_fourth_frame_and_the_fast_one_all():
    model = create("slowfast", frames=16, **TINY_SLOWFAST)
    clip = clips(16)
    seen = {}
    for path in ("slow", "fast"):
        stem = model.get_submodule(path).stem
        stem.register_forward_pre_hook(
            lambda module, inputs, path=path: seen.update({path: inputs[0]})
        )
    model(clip)
    assert torch.equal(seen["slow"], clip[:, :, [0, 4, 8, 12]]) and torch.equal(seen["fast"], clip)


def time_kernels(pathway: nn.Module) -> list[int]:
    """The longest temporal kernel of the stem and of each stage."""
    return [
        max(m.kernel_size[0] for m in part.modules() if isinstance(m, nn.Conv3d))
        for part in pathway.children()
    ]


def test_temporal_kernels_and_channels_of_both_pathways():
    with torch.device("meta"):
        model = models.create("slowfast", clip_shape=(1, 16, 64, 64))
    assert time_kernels(model.slow) == [1, 1, 1, 3, 3] and time_kernels(model.fast) == [
        5,
        3,
        3,
        3,
        3,
    ]
    assert (model.slow.channels, model.fast.channels) == (1024, 128)
    for join in model.lateral:
        convolution = join.convolve[0]
        assert (convolution.kernel_size, convolution.stride) == ((5, 1, 1), (4, 1, 1))
        assert convolution.out_channels == 2 * convolution.in_channels


def test_fast_features_reach_the_slow_pathway_but_not_the_other_way():
    model = create("slowfast", **TINY_SLOWFAST)
    clip = clips()
    other = clip.clone()
    other[:, :, [1, 2, 3, 5, 6, 7]] = 0  # frames that only the fast pathway sees
    before = model(clip)
    after = model(other)
    assert (before - after).abs()[:, : model.slow.channels].max() > 1e-4
    nn.init.zeros_(model.slow.stem[0].weight)
    assert torch.equal(model(clip)[:, model.slow.channels :], before[:, model.slow.channels :])


@pytest.mark.parametrize("frames", [1, 3, 4, 7])
def test_any_number_of_frames_meets_in_the_lateral_connections(frames):
    assert create("slowfast", frames=frames, **TINY_SLOWFAST)(clips(frames)).shape == (
        2,
        8 * 4 * 4 + 1 * 4 * 4,
    )


def test_slowfast_4x16_on_resnet_50_as_published():
    """PyTorchVideo's table: 34.48 M parameters, 36.69 G multiply-adds a view of 256 pixels."""
    with torch.device("meta"), torch.no_grad():
        model = models.create(
            "slowfast", clip_shape=(3, 32, 256, 256), alpha=8, width=64, blocks=[3, 4, 6, 3]
        )
        with FlopCounterMode(display=False) as counter:
            assert model.eval()(torch.empty(1, 3, 32, 256, 256)).shape == (1, 2048 + 256)
    # what else than convolutions is counted differs
    assert counter.get_total_flops() / 2e9 == pytest.approx(36.69, rel=0.02)
    assert round((count(model) + 400 * (2304 + 1)) / 1e6, 2) == 34.48


def bottleneck(before: int, inner: int, time: int) -> int:
    """Weights of a bottleneck with a convolution as shortcut; each has its normalisation."""
    outer = 4 * inner
    return (
        inner * (before * time + 2)
        + inner * (9 * inner + 2)
        + outer * (inner + 2)
        + outer * (before + 2)
    )


def test_parameters_of_the_reference_slowfast():
    chosen = systems.system("slowfast")
    with torch.device("meta"):
        model = models.create(chosen.model, clip_shape=(1, 16, 64, 64), **chosen.params)
    slow = 32 * (1 * 49 + 2)
    fast = 4 * (5 * 49 + 2)
    lateral = 0
    before = (32, 4)
    for inner, time in ((32, 1), (64, 1), (128, 3), (256, 3)):
        joined = 2 * before[1]
        lateral += joined * (5 * before[1] + 2)
        slow += bottleneck(before[0] + joined, inner, time)
        fast += bottleneck(before[1], inner // 8, 3)
        before = (4 * inner, inner // 2)
    assert (count(model.slow), count(model.fast), count(model.lateral)) == (slow, fast, lateral)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("tsm", {"widths": [4, 8]}, "widths and blocks must be as many"),
        ("tsm", {"widths": [4], "blocks": [1]}, "at least one of 4 channels, got 0.125"),
        ("tsm", {"shift": 0.6}, "at most 0.5"),
        ("tsm", {"stem_kernel": 4}, "kernel sizes must be odd"),
        ("slowfast", {"width": 12}, "beta of width in whole channels"),
        ("slowfast", {"alpha": 0}, "alpha of at least 1"),
        ("slowfast", {"blocks": []}, "at least one stage"),
    ],
)
def test_impossible_sizes(name, params, message):
    with pytest.raises(ValueError, match=message):
        models.create(name, clip_shape=(1, 16, 20, 20), **params)
