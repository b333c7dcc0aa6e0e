"""Video transformers: attention against loops, what may mix with what, published sizes."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vidrep import models, systems
from vidrep.models.video_transformer import SCHEMES, Attention, Block
from vidrep.objectives.build import build
from vidrep.training.cost import count_macs

GRID = (3, 2, 2)  # T, H, W of tokens
NEIGHBOURS = {  # may a token look at another, both given as (t, h, w)?
    "time": lambda a, b: a[1:] == b[1:],
    "space": lambda a, b: a[0] == b[0],
    "all": lambda a, b: True,
}


def small(attention: str, patch=(1, 4, 4), frames: int = 6, **params) -> nn.Module:
    """A network over 6 x 2 x 2 tokens (fewer for longer tubelets)."""
    torch.manual_seed(0)
    shape = (1, frames, 8, 8)
    return models.create(
        "video_transformer",
        clip_shape=shape,
        attention=attention,
        patch=list(patch),
        width=8,
        depth=2,
        heads=2,
        **params,
    ).eval()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# --- Attention. ---


def attention_by_hand(layer: Attention, tokens: torch.Tensor) -> torch.Tensor:
    """Every token on its own: its softmax over the tokens it may look at, head by head."""
    width = tokens.shape[-1]
    size = tokens.shape[-1] // layer.heads
    query, key, value = (
        F.linear(tokens, w, b)
        for w, b in zip(layer.qkv.weight.split(width), layer.qkv.bias.split(width), strict=True)
    )
    result = torch.empty_like(tokens)
    cells = list(itertools.product(*(range(side) for side in GRID)))
    for clip, cell, head in itertools.product(range(len(tokens)), cells, range(layer.heads)):
        part = slice(head * size, (head + 1) * size)
        seen = [other for other in cells if NEIGHBOURS[layer.along](cell, other)]
        scores = [
            query[clip, *cell, part] @ key[clip, *other, part] / math.sqrt(size) for other in seen
        ]
        weights = F.softmax(torch.stack(scores), dim=0)
        result[clip, *cell, part] = sum(
            w * value[clip, *other, part] for w, other in zip(weights, seen, strict=True)
        )
    return layer.out(result)


@pytest.mark.parametrize("along", NEIGHBOURS)
def test_attention_against_a_loop_over_tokens(along):
    torch.manual_seed(0)
    layer = Attention(8, heads=2, along=along).double()
    tokens = torch.randn(2, *GRID, 8, dtype=torch.float64)
    torch.testing.assert_close(
        layer(tokens), attention_by_hand(layer, tokens), rtol=1e-10, atol=1e-12
    )


def changed_cells(step, cell) -> set[tuple]:
    """Cells whose output moves when the token in ``cell`` does."""
    torch.manual_seed(0)
    tokens = torch.randn(1, *GRID, 8, dtype=torch.float64)
    other = tokens.clone()
    other[0, *cell] += torch.randn(8, dtype=torch.float64)
    return {
        tuple(index) for index in (step(tokens) - step(other)).abs().amax(-1)[0].nonzero().tolist()
    }


def test_divided_attention_mixes_time_then_space_and_nothing_else():
    block = Block(8, heads=2, mlp_ratio=2, axes=SCHEMES["divided"]).double()
    cell = (1, 0, 1)
    everywhere = list(itertools.product(*(range(side) for side in GRID)))
    over_time, over_space, mlp = block.steps
    assert changed_cells(over_time, cell) == {(t, 0, 1) for t in range(3)}
    assert changed_cells(over_space, cell) == {(1, h, w) for h in range(2) for w in range(2)}
    assert changed_cells(mlp, cell) == {cell}
    assert changed_cells(lambda tokens: block(tokens.movedim(-1, 1)).movedim(1, -1), cell) == set(
        everywhere
    )


def test_a_block_is_pre_norm_with_a_residual_around_each_step():
    torch.manual_seed(0)
    block = Block(8, heads=2, mlp_ratio=2, axes=("all",))
    (norm, attention), (norm_2, up, act, down) = block.steps
    tokens = torch.randn(2, *GRID, 8)
    middle = tokens + attention(F.layer_norm(tokens, (8,), norm.weight, norm.bias))
    expected = middle + down(F.gelu(up(F.layer_norm(middle, (8,), norm_2.weight, norm_2.bias))))
    assert isinstance(act, nn.GELU)
    torch.testing.assert_close(block(tokens.movedim(-1, 1)).movedim(1, -1), expected)


# --- Whole networks. ---


def test_tubelets_are_patches_of_the_clip_times_a_matrix():
    model = small("joint", patch=(2, 4, 4))
    clip = torch.rand(2, 1, 6, 8, 8)
    embed = model.embed
    tubelet = clip[:, :, 2:4, 4:8, 0:4].flatten(1)  # cell (1, 1, 0)
    expected = (
        tubelet @ embed.project.weight.flatten(1).T
        + embed.project.bias
        + embed.space[0, :, 0, 1, 0]
        + embed.time[0, :, 1, 0, 0]
    )
    torch.testing.assert_close(embed(clip)[:, :, 1, 1, 0], expected)


def test_the_space_only_variant_does_not_know_the_order_of_frames():
    torch.manual_seed(1)
    clip = torch.rand(2, 1, 6, 8, 8)
    order = [3, 0, 5, 1, 4, 2]
    shuffled = clip[:, :, order]
    space_only = small("space")
    divided = small("divided")
    # a mean in another order
    torch.testing.assert_close(space_only(shuffled), space_only(clip), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(divided(shuffled), divided(clip), atol=1e-3)
    assert space_only.embed.time is None
    torch.testing.assert_close(
        space_only(clip),
        torch.stack([small("space", frames=1)(clip[:, :, [t]]) for t in range(6)]).mean(0),
    )


def test_the_space_only_variant_has_the_weights_of_the_divided_network_but_for_time_positions():
    space_only = small("space")
    divided = small("divided")
    assert count(divided) - count(space_only) == 6 * 8
    names = {name: p.shape for name, p in divided.named_parameters() if name != "embed.time"}
    assert {name: p.shape for name, p in space_only.named_parameters()} == names


def test_the_factorised_encoder_keeps_frames_apart_before_its_second_half():
    model = small("factorised", temporal_depth=1)
    assert model.layers == ("embed", "block1", "block2", "frames", "time1", "embedding")
    torch.manual_seed(1)
    clip = torch.rand(1, 1, 6, 8, 8)
    other = clip.clone()
    other[:, :, 2] = 0
    before, after = (
        model.frames(model.block2(model.block1(model.embed(x)))) for x in (clip, other)
    )
    assert before.shape == (1, 8, 6, 1, 1)
    assert (before - after).abs().amax((0, 1, 3, 4)).nonzero().flatten().tolist() == [2]
    assert ((model.time1(before) - model.time1(after)).abs().amax((0, 1, 3, 4)) > 0).all()


def test_a_joint_encoder_runs_on_any_tokens():
    model = small("joint")
    tokens = model.embed(torch.rand(2, 1, 6, 8, 8))
    as_list = tokens.flatten(2)[..., None, None]  # (B, D, N, 1, 1)
    torch.testing.assert_close(
        model.encode(as_list).flatten(2), model.encode(tokens).flatten(2), rtol=1e-5, atol=1e-6
    )
    kept = [20, 3, 11]
    assert model.encode(as_list[:, :, kept]).shape == (2, 8, 3, 1, 1)
    assert model.embedding(model.encode(as_list[:, :, kept])).shape == (2, 8)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"patch": [2, 8, 8]},
            r"clips of \(16, 20, 20\) .*cannot be cut into tubelets of \(2, 8, 8\)",
        ),
        ({"patch": [3, 5, 5]}, "cannot be cut"),
        (
            {"patch": [1, 5, 5], "attention": "axial"},
            "attention must be one of joint, divided, factorised, space, got 'axial'",
        ),
        ({"patch": [1, 5, 5], "width": 32}, "width a multiple of heads, got 32, 6 and 3"),
        ({"patch": [1, 5, 5], "depth": 0}, "at least 1"),
    ],
)
def test_impossible_sizes(params, message):
    with pytest.raises(ValueError, match=message):
        models.create("video_transformer", clip_shape=(1, 16, 20, 20), **params)


@pytest.mark.parametrize("side", [4, 5, 10])
def test_patches_that_divide_20_pixels(side):
    with torch.device("meta"):
        model = models.create(
            "video_transformer", clip_shape=(1, 16, 20, 20), patch=[2, side, side]
        )
        assert model.embed(torch.empty(1, 1, 16, 20, 20)).shape == (
            1,
            192,
            8,
            20 // side,
            20 // side,
        )


# --- Weights. ---


def vit_base(attention: str, patch, frames: int, **params) -> int:
    """Parameters of a network of ViT-B's size on colour clips of 224 pixels."""
    with torch.device("meta"):
        model = models.create(
            "video_transformer",
            clip_shape=(3, frames, 224, 224),
            attention=attention,
            patch=patch,
            width=768,
            depth=12,
            heads=12,
            **params,
        )
    return count(model)


def test_parameters_of_timesformer_as_published():
    """Its paper gives 85.9 M (joint) and 121.4 M (divided) with 174 classes."""
    left_out = 2 * 768 + 174 * (768 + 1)  # class token and its position, classifier
    temporal_linear = 12 * (768 * 768 + 768)  # of the authors' code
    assert round((vit_base("joint", [1, 16, 16], 8) + left_out) / 1e6, 1) == 85.9
    assert (
        round((vit_base("divided", [1, 16, 16], 8) + temporal_linear + left_out) / 1e6, 1) == 121.4
    )


def test_parameters_of_vivit_as_published():
    """Models 1 and 2 of ViViT-B/16x2 on 32 frames have 88.9 M and 115.1 M with 400 classes."""
    classes = 400 * (768 + 1)
    # one for each token instead of space and time apart
    joint_positions = (16 * 196 - 16 - 196) * 768
    assert vit_base(
        "joint", [2, 16, 16], 32
    ) + joint_positions + 2 * 768 + classes == pytest.approx(88.9e6, abs=0.06e6)
    # class tokens with positions of both encoders; the norm between them
    tokens = 4 * 768 + 2 * 768
    assert vit_base(
        "factorised", [2, 16, 16], 32, temporal_depth=4
    ) + tokens + classes == pytest.approx(115.1e6, abs=0.06e6)


@pytest.mark.parametrize(
    ("name", "tubelet", "attentions", "timed"),
    [("vivit", 2, 1, 1), ("timesformer", 1, 2, 1), ("timesformer_space", 1, 2, 0)],
)
def test_parameters_of_the_reference_entries(name, tubelet, attentions, timed):
    chosen = systems.system(name)
    with torch.device("meta"):
        model = models.create(chosen.model, clip_shape=(1, 16, 64, 64), **chosen.params)
    width = 192
    places = 8 * 8
    frames = 16 // tubelet
    # norm, projections; norm, MLP
    block = attentions * (4 * width**2 + 6 * width) + 8 * width**2 + 7 * width
    embed = (tubelet * 8 * 8 + 1) * width + places * width + timed * frames * width
    assert count(model) == embed + 6 * block + 2 * width


@pytest.mark.parametrize(
    ("attention", "pairs"),
    [("joint", 24 * 24), ("divided", 4 * 6**2 + 6 * 4**2), ("space", 2 * 6 * 4**2)],
)
def test_multiply_adds_count_attention_too(attention, pairs, make_split, cpu):
    definition = {
        "name": "tiny",
        "model": "video_transformer",
        "params": {"attention": attention, "patch": [1, 4, 4], "width": 8, "depth": 1, "heads": 2},
        "objective": "classification",
        "objective_params": {},
    }
    split = make_split(2, frames=6, side=8)
    macs = count_macs(build(definition, split.shape), split, cpu)
    projections = len(SCHEMES[attention]) * 4 * 8**2
    per_token = 4 * 4 * 8 + projections + 8 * 8**2  # embedding, attention's projections, MLP
    # scores and weighted sums
    assert macs == 24 * per_token + 2 * pairs * 8
