"""Muon makes directions orthogonal and takes convolutions alone; schedules have any length."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from vidrep.models import create
from vidrep.training.muon import Muon, orthogonalised, split_parameters
from vidrep.training.optimisers import SCHEDULES, Together, make_optimiser, make_schedule

RECIPE = {"optimiser": "muon", "muon_lr": 0.06, "weight_decay": 0.0, "schedule": "one_cycle"}


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (7, 7), (1, 9)])
def test_the_direction_is_that_of_the_singular_vectors(shape):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    wanted = left @ right
    found = orthogonalised(matrix)
    # the same singular vectors: nothing off the diagonal, and all values near 1
    inner = left.T @ found @ right.T
    assert (inner - inner.diag().diag()).abs().max() < 1e-4
    assert inner.diag().min() > 0.6 and inner.diag().max() < 1.3
    assert (found * wanted).sum() / found.norm() / wanted.norm() > 0.98
    assert values.max() / values.min() > 1.5 or min(shape) == 1, "else the test would show nothing"


def test_one_step_by_hand():
    """Nesterov momentum of a first gradient is that gradient, scaled; tall matrices go further."""
    weight = nn.Parameter(torch.zeros(8, 1, 1, 2))
    muon = Muon([weight], lr=0.5, weight_decay=0.25)
    with torch.no_grad():
        weight.fill_(1.0)
    gradient = torch.arange(16.0).reshape(8, 1, 1, 2) - 5
    weight.grad = gradient.clone()
    muon.step()
    update = orthogonalised(gradient.flatten(1)).view(8, 1, 1, 2)
    wanted = (1 - 0.5 * 0.25) - 0.5 * math.sqrt(8 / 2) * update
    assert torch.allclose(weight, wanted, atol=1e-5)
    assert torch.allclose(muon.state[weight]["momentum"], gradient / 10)


def test_it_does_not_matter_how_large_gradients_are():
    steps = []
    for scale in (1.0, 1e4):
        weight = nn.Parameter(torch.zeros(3, 2, 1, 2))
        muon = Muon([weight], lr=1.0, weight_decay=0.0)
        for number in (1, 2):
            generator = torch.Generator().manual_seed(number)
            weight.grad = scale * torch.randn(3, 2, 1, 2, generator=generator)
            muon.step()
        steps.append(weight.detach().clone())
    assert torch.allclose(*steps, atol=1e-4)


def test_muon_takes_convolutions_that_are_trained_and_not_recurrent():
    network = create("conv_lstm", clip_shape=(1, 4, 16, 16), stages=[[4, 2]], stem_channels=4)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    matrices, rest = split_parameters(network)
    assert {names[id(parameter)] for parameter in matrices} == {
        "stem.0.weight",
        "convlstm1.0.conv_input.weight",
    }
    assert "convlstm1.0.peepholes" in {names[id(parameter)] for parameter in rest}
    assert len(matrices) + len(rest) == len(names)
    network.requires_grad_(False)
    assert split_parameters(network) == ([], [])


def test_what_a_stage_does_not_train_has_no_optimiser():
    dense = make_optimiser(nn.Linear(3, 2), RECIPE, 0.125)
    assert [type(part).__name__ for part in dense.parts] == ["AdamW"]
    assert dense.param_groups[0]["lr"] == 0.125
    both = make_optimiser(nn.Conv3d(1, 2, 1), RECIPE, 0.125)
    assert [group["lr"] for group in both.param_groups] == [0.06, 0.125]
    alone = make_optimiser(nn.Conv3d(1, 2, 1, bias=False), RECIPE, 0.125)
    assert [type(part).__name__ for part in alone.parts] == ["Muon"]


def test_both_rates_follow_one_cycle_and_muons_momentum_stays():
    both = make_optimiser(nn.Conv3d(1, 2, 1), RECIPE, 0.125)
    schedule = make_schedule(both, RECIPE, 20)
    shares = []
    for _ in range(20):
        muon, adamw = both.param_groups
        shares.append(muon["lr"] / 0.06)
        assert adamw["lr"] / 0.125 == pytest.approx(shares[-1])
        both.step()
        schedule.step()
    assert max(shares) > 0.99 and shares[-1] < 0.02 and "momentum" not in both.param_groups[0]


def test_states_come_back():
    def train(optimiser: Together, layer: nn.Module, steps: range) -> None:
        for step in steps:
            generator = torch.Generator().manual_seed(step)
            for parameter in layer.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimiser.step()

    def fresh() -> tuple[nn.Module, Together]:
        torch.manual_seed(0)
        layer = nn.Conv3d(2, 3, 2)
        return layer, make_optimiser(layer, RECIPE, 0.01)

    whole, optimiser = fresh()
    train(optimiser, whole, range(6))
    first, optimiser = fresh()
    train(optimiser, first, range(3))
    saved = optimiser.state_dict()
    again, optimiser = fresh()
    again.load_state_dict(first.state_dict())
    optimiser.load_state_dict(saved)
    train(optimiser, again, range(3, 6))
    assert torch.equal(whole.weight, again.weight) and torch.equal(whole.bias, again.bias)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", range(1, 12))
def test_schedules_of_any_length(schedule, steps):
    """Torch's one-cycle divides by zero where the rise has no length: with a fifth of 5 steps."""
    recipe = {**RECIPE, "optimiser": "adamw", "schedule": schedule}
    optimiser = make_optimiser(nn.Linear(1, 1), recipe, 0.5)
    rates = make_schedule(optimiser, recipe, steps)
    seen = []
    for _ in range(steps):
        seen.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        rates.step()
    assert all(0 < rate <= 0.5 + 1e-9 for rate in seen)
    assert steps < 2 or max(seen) > 0.4
    assert schedule != "one_cycle" or steps < 4 or seen[-1] < 0.5 * max(seen)


@pytest.mark.slow
def test_no_optimiser_imports_the_compiler():
    code = """
import sys
import torch
from torch import nn
from vidrep.training.optimisers import OPTIMISERS, SCHEDULES, make_optimiser, make_schedule

for name in OPTIMISERS:
    for schedule in SCHEDULES:
        layer = nn.Conv3d(1, 2, 1)
        recipe = {"optimiser": name, "schedule": schedule, "weight_decay": 0.0, "muon_lr": 0.1}
        optimiser = make_optimiser(layer, recipe, 0.1)
        rates = make_schedule(optimiser, recipe, 5)
        layer(torch.zeros(1, 1, 2, 2, 2)).sum().backward()
        optimiser.step()
        rates.step()
        optimiser.load_state_dict(optimiser.state_dict())
        optimiser.zero_grad()
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
