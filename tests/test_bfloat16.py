"""Training in bfloat16: gradients are off by what rounding explains, and small maps are guarded."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from vidrep.objectives.build import build
from vidrep.training.device import Device

pytestmark = pytest.mark.slow

BFLOAT16 = Device(torch.device("cpu"), "bfloat16")
needs_bfloat16 = pytest.mark.skipif(
    not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()),
    reason="this CPU has no bfloat16",
)


class Rounding(TorchDispatchMode):
    """bfloat16 without its kernels: what has bfloat16 inputs is computed in float32, then rounded.

    Forward and backward. Results that kernels keep in float32, such as the statistics of a
    normalisation, are rounded too.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        moves_only = func.is_view or func is torch.ops.aten._to_copy.default
        if moves_only or not any(has_bfloat16(value) for value in (*args, *kwargs.values())):
            return func(*args, **kwargs)
        wide = tree_map(widen, args)
        result = func(*wide, **tree_map(widen, kwargs))
        for given, computed in zip(args, wide, strict=True):
            if given is not computed and isinstance(given, Tensor) and func._schema.is_mutable:
                given.copy_(computed)  # rounds what was changed in place
                if result is computed:
                    return given
        return tree_map(narrow, result)


def has_bfloat16(value) -> bool:
    """Is there a bfloat16 tensor in an argument, which may be a list?"""
    values = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(item, Tensor) and item.dtype == torch.bfloat16 for item in values)


def widen(value):
    is_bfloat16 = isinstance(value, Tensor) and value.dtype == torch.bfloat16
    return value.float() if is_bfloat16 else value


def narrow(value):
    is_float32 = isinstance(value, Tensor) and value.dtype == torch.float32
    return value.bfloat16() if is_float32 else value


def gradients(objective, batch: dict, where: Device) -> Tensor:
    """All gradients in one vector, computed in memory that was full of NaN."""
    objective.train()
    objective.zero_grad()
    torch.manual_seed(3)  # the same frames and the same dropout each time
    given = {**batch, "labelled": batch} if objective.semi_supervised else batch
    with where.autocast():
        loss = objective.loss(given)
    poison()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in objective.parameters() if p.grad is not None])


def poison() -> None:
    """Leave NaN in the memory that the allocator hands out next."""
    junk = [torch.full((2**power,), math.nan) for power in range(4, 20) for _ in range(3)]
    del junk


@pytest.fixture
def excess(tiny_system, make_split, cpu):
    """Distance of a system's gradients in bfloat16 from the emulated ones, over what is allowed.

    At most 1 where gradients are right. ``change`` may plant a fault in the placed network.
    """

    def measure(name: str, change=lambda objective: None) -> float:
        split = make_split(16)
        torch.manual_seed(0)
        objective = cpu.place(build(tiny_system(name).definition(), split.shape))
        batch = split.batch(slice(None), cpu)
        exact = gradients(objective, batch, cpu)
        with Rounding():
            rounded = gradients(BFLOAT16.place(copy.deepcopy(objective)), batch, BFLOAT16)
        placed = BFLOAT16.place(copy.deepcopy(objective))
        change(placed)
        allowed = (rounded - exact).norm() + 0.01 * exact.norm()
        distances = [(gradients(placed, batch, BFLOAT16) - rounded).norm() for _ in range(2)]
        return (torch.stack(distances).max() / allowed).item()

    return measure


@needs_bfloat16
@pytest.mark.slow
def test_gradients_of_every_narrow_system(narrow, excess):
    """The kernels' gradients are as close to emulated ones as these are to float32.

    Kernels add in another order than the emulation. Where a value lies between two bfloat16
    numbers, or two maxima of a pool are equal, they may decide otherwise, and what follows from
    that is of the size of rounding itself: up to 0.6 of it with AVX2 kernels, mostly below 0.1
    with AVX512-BF16 ones.
    """
    assert excess(narrow) <= 1


@needs_bfloat16
@pytest.mark.parametrize("layer", ["conv1.0", "conv2.0", "conv3.0", "full4.1"])
@pytest.mark.parametrize(
    "name", ["temporal_bidirectional_exact_narrow", "temporal_single_task_exact_narrow"]
)
def test_a_wrong_gradient_of_one_layer_is_found(name, layer, excess):
    """In the two systems whose gradients rounding changes most among those of flow."""

    def change(objective) -> None:
        weight = objective.model.get_submodule(layer).weight
        weight.register_hook(lambda gradient: -gradient)

    assert excess(name, change) > 1


@needs_bfloat16
def test_emulated_products_are_those_of_rounded_values():
    torch.manual_seed(0)
    layer = nn.Linear(50, 4)
    x = torch.randn(6, 50)
    with Rounding(), BFLOAT16.autocast():
        emulated = layer(x)
        emulated.sum().backward()
    exact = x.bfloat16().double() @ layer.weight.bfloat16().double().T
    exact = exact + layer.bias.bfloat16().double()
    torch.testing.assert_close(emulated.double(), exact, rtol=2**-8, atol=0)
    # the gradient of the weight: sums of rounded inputs, rounded
    sums = x.bfloat16().double().sum(0).expand(4, -1)
    torch.testing.assert_close(layer.weight.grad.double(), sums, rtol=2**-8, atol=1e-6)


@needs_bfloat16
@pytest.mark.parametrize(("frames", "side"), [(2, 4), (2, 2), (1, 4), (3, 4), (4, 1)])
def test_small_maps_have_exact_gradients(frames, side):
    """Without ``Device.place``'s guard torch reads memory it never wrote, e.g. for two frames."""
    torch.manual_seed(0)
    plain = nn.Conv3d(8, 8, 3, padding=1)
    placed = BFLOAT16.place(copy.deepcopy(plain))
    maps = torch.randn(4, 8, frames, side, side).contiguous(memory_format=torch.channels_last_3d)
    plain(maps).square().sum().backward()
    for _ in range(5):
        placed.zero_grad()
        poison()
        with BFLOAT16.autocast():
            output = placed(maps)
        poison()
        output.float().square().sum().backward()
        difference = (placed.weight.grad - plain.weight.grad).abs().max()
        assert difference <= 0.02 * plain.weight.grad.abs().max()


@needs_bfloat16
def test_large_maps_stay_in_bfloat16():
    placed = BFLOAT16.place(nn.Conv3d(2, 2, 3, padding=1))
    with BFLOAT16.autocast():
        assert placed(torch.rand(1, 2, 3, 3, 3)).dtype == torch.bfloat16
