"""Every architecture keeps the model contract; sizes and cells agree with other derivations."""

import io
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vidrep import models
from vidrep.models.recurrent import INITS, ConvLSTM, PeepholeLSTM, join_states, split_states
from vidrep.models.resnet3d import mid_channels
from vidrep.training.device import choose

BATCH = 2
FRAMES = 8
SIDE = 20

SMALL_CONVS = [[4, 3, 1, 2], [6, 3, 2, 1]]
SMALL_FUSION = {
    "convs": [[4, 5, 1, 2], [6, 3, 1, 1], [8, 3, 1, 2]],
    "dense": [9, 7],
    "dropout": 0.2,
}
SMALL_TRUNK = {
    "trunk": "mobilenet_v2",
    "image_px": 20,
    "train_trunk": True,
    "trunk_params": {"width": 0.25, "settings": [[1, 16, 1, 1], [2, 24, 2, 2]], "head": 16},
}
# name, narrow parameters, shape of the embedding of an 8 x 20 x 20 clip in evaluation (or a
# function of the clip's channels)
CASES = {
    "c3d": ("c3d", {"stem": [4, 3, [1, 2, 2]], "stages": [[6, 2, 2], [8, 1, 1]]}, (8 * 4 * 5 * 5,)),
    "c3d dense": ("c3d", {"stem": [4, 3, 2], "stages": [[6, 1, 2]], "dense": [10, 7]}, (7,)),
    "r3d": (
        "resnet3d",
        {"widths": [4, 4, 6, 6, 8], "stem_kernel": [3, 3, 3], "stem_stride": [1, 1, 1]},
        (8 * 1 * 3 * 3,),
    ),
    "r2plus1d": (
        "resnet3d",
        {"factorised": True, "depth": 18, "widths": [4, 4, 6, 6, 8]},
        (8 * 1 * 2 * 2,),
    ),
    "p3d": ("p3d", {"depth": 14, "widths": [4, 8, 8, 12, 16], "stem_kernel": [1, 3, 3]}, (16,)),
    "p3d parallel": (
        "p3d",
        {"blocks": "b", "depth": 14, "widths": [4, 8, 8, 8, 8], "stem_stride": [1, 1, 1]},
        (8,),
    ),
    "cnn_lstm": (
        "cnn_lstm",
        {"convs": [[4, 5, 2], [6, 3, 1], [8, 3, 2]], "units": 9, "num_layers": 2},
        (FRAMES, 9),
    ),
    "conv_lstm": ("conv_lstm", {"stages": [[4, 2], [6, 1]]}, (6 * 10 * 10,)),
    "conv_lstm stem": (
        "conv_lstm",
        {"stages": [[4, 2]], "stem_channels": 3, "activation": "tanh"},
        (4 * 5 * 5,),
    ),
    "two_stream": (
        "two_stream",
        {"stack": 3, "samples": 4, "convs": SMALL_CONVS, "dense": [9, 7], "dropout": 0.0},
        (4, 7),
    ),
    "two_stream batch": (
        "two_stream",
        {
            "stack": 7,
            "samples": 1,
            "convs": SMALL_CONVS,
            "dense": [7],
            "norm": "batch",
            "dropout": 0.0,
        },
        (1, 7),
    ),
    "temporal_stream": (
        "temporal_stream",
        {"stack": 3, "convs": SMALL_CONVS, "dense": [7], "dropout": 0.0},
        (5, 7),
    ),
    "temporal_stream both ways": (
        "temporal_stream",
        {
            "stack": 4,
            "bidirectional": True,
            "trajectory": True,
            "convs": SMALL_CONVS,
            "dense": [9, 7],
            "dropout": 0.0,
        },
        (4, 7),
    ),
    "fusion": (
        "fusion",
        {**SMALL_FUSION, "fusion": "slow", "frames": 8, "slow": [[2, 2], [2, 2], [2, 2]]},
        (7,),
    ),
    "fusion multires": (
        "fusion",
        {**SMALL_FUSION, "fusion": "late", "gap": 5, "streams": "multires", "norm": "batch"},
        (7,),
    ),
    "window_lstm": (
        "window_lstm",
        {"maps": [2, 4, 3], "kernels": [[3, 5, 5], [2, 3, 3], [2, 3, 3]], "units": 5},
        (4, 5),
    ),
    "trunk_fusion": (
        "trunk_fusion",
        {**SMALL_TRUNK, "fusion": "slow", "frames": 8, "merges": [[4, 2], [2, 2]]},
        (256,),
    ),
    "trunk_fusion early": ("trunk_fusion", {**SMALL_TRUNK, "fusion": "early", "frames": 5}, (16,)),
    "trunk_fusion clips": (
        "trunk_fusion",
        {
            "trunk": "i3d",
            "fusion": "late",
            "image_px": 20,
            "train_trunk": True,
            "trunk_params": {"width": 0.0625},
        },
        (2 * 64,),
    ),
    "trunk_rnn": ("trunk_rnn", {**SMALL_TRUNK, "units": 9, "num_layers": 2}, (FRAMES, 9)),
    "trunk_rnn gru": (
        "trunk_rnn",
        {**SMALL_TRUNK, "cell": "gru", "units": 9, "num_layers": 1},
        (FRAMES, 9),
    ),
    "frame_pooling": (
        "frame_pooling",
        {"convs": [[4, 3, 2], [6, 3, 2]], "pooling": "attention"},
        (6 * 5 * 5,),
    ),
    "frame_pooling trunk": ("frame_pooling", SMALL_TRUNK, (16,)),
    "lstm_encoder": ("lstm_encoder", {"units": 6, "num_layers": 2}, (2 * 2 * 6,)),
    "vivit": ("video_transformer", {"patch": [2, 5, 5], "width": 12, "depth": 2}, (12,)),
    "vivit factorised": (
        "video_transformer",
        {
            "attention": "factorised",
            "patch": [2, 5, 5],
            "width": 12,
            "depth": 1,
            "temporal_depth": 1,
        },
        (12,),
    ),
    "timesformer": (
        "video_transformer",
        {"attention": "divided", "patch": [1, 5, 5], "width": 12, "depth": 1},
        (12,),
    ),
    "timesformer space": (
        "video_transformer",
        {"attention": "space", "patch": [1, 5, 5], "width": 12, "depth": 1},
        (12,),
    ),
    # narrower, the fast pathway has one channel, and no gradient of a scale that the next
    # normalisation takes back
    "slowfast": (
        "slowfast",
        {"width": 16, "blocks": [1, 1], "stem_kernel": 3, "stem_pool": False},
        (8 * 16 + 16,),
    ),
    "tsm": (
        "tsm",
        {"widths": [8, 12], "blocks": [1, 1], "stem_kernel": 3, "stem_pool": False},
        (12,),
    ),
    "tsn": ("tsm", {"widths": [8, 12], "blocks": [1, 1], "shift": 0}, (12,)),
    "capsules": (
        "capsules",
        {"convs": [[6, 3, 2]], "primary": [3, 4, [1, 3, 3], 1], "capsules": 5, "size": 6},
        (5 * 6,),
    ),
    "capsules batch": (
        "capsules",
        {
            "convs": [[6, 3, 2]],
            "primary": [3, 4, 3, [1, 2, 2]],
            "batch_norm": True,
            "pool": "none",
            "coordinates": False,
        },
        (160,),
    ),
    "slow_features": ("slow_features", {"components": 7, "features": 5}, (FRAMES, 5)),
    "slow_features linear": (
        "slow_features",
        {"components": 7, "features": 5, "expansion": "linear"},
        (FRAMES, 5),
    ),
    "frame_difference": (
        "frame_difference",
        {},
        lambda channels: (channels * (FRAMES - 1) * SIDE * SIDE,),
    ),
    "flow": ("flow", {}, (2 * (FRAMES - 1) * SIDE * SIDE,)),
    "pixels": ("pixels", {}, lambda channels: (channels * FRAMES * SIDE * SIDE,)),
}
WITHOUT_PARAMETERS = {"slow_features", "slow_features linear", "frame_difference", "flow", "pixels"}
every_case = pytest.mark.parametrize("case", CASES)
every_depth = pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])


def build(case: str, channels: int = 1, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    name, params, _ = CASES[case]
    return models.create(name, clip_shape=(channels, FRAMES, SIDE, SIDE), **params)


def batch(model: nn.Module, channels: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    clip = torch.rand(BATCH, channels, FRAMES, SIDE, SIDE, generator=generator).contiguous(
        memory_format=torch.channels_last_3d
    )
    flow, backward = torch.randn(2, BATCH, 2, FRAMES - 1, SIDE, SIDE, generator=generator)
    return [{"clip": clip, "flow": flow, "flow_backward": backward}[name] for name in model.inputs]


def streams(embedding) -> list[torch.Tensor]:
    return list(embedding.values()) if isinstance(embedding, dict) else [embedding]


@every_depth
@every_case
def test_embedding_shapes(case, channels):
    model = build(case, channels).eval()
    expected = CASES[case][2]
    if callable(expected):
        expected = expected(channels)
    for embedding in streams(model(*batch(model, channels))):
        assert embedding.shape == (BATCH, *expected)
        assert embedding.isfinite().all()


@every_case
def test_layers_are_submodules_that_end_in_the_embedding(case):
    model = build(case).eval()
    captured = {}
    for name in model.layers:
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: captured.update({name: output})
        )
    embeddings = streams(model(*batch(model)))
    assert list(captured) == list(model.layers), "depth order"
    for output in captured.values():
        assert output.shape[0] == BATCH
        assert output.ndim in {2, 3, 5}
    joined = (
        torch.cat([stream.mean(1) for stream in embeddings], 1)
        if len(embeddings) > 1
        else embeddings[0]
    )
    assert torch.equal(captured[model.layers[-1]], joined)


@every_depth
@every_case
def test_gradient_reaches_every_parameter(case, channels):
    model = build(case, channels).train()
    embeddings = streams(model(*batch(model, channels)))
    loss = sum((embedding * torch.randn_like(embedding)).sum() for embedding in embeddings)
    if case not in WITHOUT_PARAMETERS:
        loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@every_case
def test_deterministic_under_a_seed_and_distinct_without(case):
    first = build(case, seed=3)
    again = build(case, seed=3)
    other = build(case, seed=4)
    for one, two in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    if case not in WITHOUT_PARAMETERS:
        assert any(
            not torch.equal(one, two)
            for one, two in zip(first.parameters(), other.parameters(), strict=True)
        )
    outputs = []
    for model in (first, again):
        torch.manual_seed(5)
        outputs.append(streams(model.train()(*batch(model))))
    assert all(torch.equal(one, two) for one, two in zip(*outputs, strict=True))


@every_case
def test_weights_survive_a_file(case):
    trained = build(case, seed=1)
    fresh = build(case, seed=2)
    trained.train()(*batch(trained))  # moves the batch-norm averages
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    for one, two in zip(
        streams(trained.eval()(*batch(trained))), streams(fresh.eval()(*batch(fresh))), strict=True
    ):
        assert torch.equal(one, two)


@every_case
def test_bfloat16_autocast_stays_close_and_trains(case):
    model = build(case).eval()
    plain = streams(model(*batch(model)))
    choose(0, "bfloat16").place(model)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = streams(model(*batch(model)))
    for one, two in zip(plain, mixed, strict=True):
        # bfloat16 has 8 bits of mantissa: a few per cent of the largest value after several layers.
        assert (one - two.float()).abs().max() <= 0.05 * one.abs().max() + 1e-3
    if case not in WITHOUT_PARAMETERS:
        sum(embedding.float().square().sum() for embedding in mixed).backward()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@every_case
def test_channels_last_weights(case):
    model = build(case).eval()
    plain = streams(model(*batch(model)))
    choose(0, "float32").place(model)
    for one, two in zip(plain, streams(model(*batch(model))), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)  # another order of summation


@pytest.mark.parametrize(
    ("name", "shape", "params", "message"),
    [
        ("c3d", (1, 16, 16, 16), {}, "too small for pooling"),
        ("c3d", (1, 16, 64), {}, "clip_shape must be four"),
        ("c3d", (1, 16, 20, 20), {"stem": [4, 4, 1]}, "kernel sizes must be odd"),
        (
            "c3d",
            (1, 16, 20, 20),
            {"stem": [4, [3, 3], 1]},
            "expected a positive whole number or three",
        ),
        (
            "resnet3d",
            (1, 16, 20, 20),
            {"depth": 50},
            "depth must be one of 10, 16, 18, 26, 34, got 50",
        ),
        ("resnet3d", (1, 16, 20, 20), {"widths": [4, 4]}, "widths must be five numbers"),
        (
            "cnn_lstm",
            (1, 16, 8, 8),
            {},
            r"\(16, 1, 1\) \(T, H, W\) is too small for pooling by \(1, 2, 2\)",
        ),
        ("conv_lstm", (1, 16, 4, 4), {}, "too small for pooling"),
        (
            "conv_lstm",
            (1, 16, 64, 64),
            {"activation": "gelu"},
            "activation must be one of tanh, relu, linear, got 'gelu'",
        ),
        (
            "two_stream",
            (1, 10, 20, 20),
            {},
            "clips of 10 frames have 9 flow fields; a stack of 10 does not fit",
        ),
        ("two_stream", (1, 16, 20, 20), {"norm": "layer"}, "norm must be one of"),
        ("lstm_encoder", (1, 0, 20, 20), {}, "clip_shape must be four"),
        ("pixels", (1, 16, 20, 20.5), {}, "clip_shape must be four"),
    ],
)
def test_impossible_sizes(name, shape, params, message):
    with pytest.raises(ValueError, match=message):
        models.create(name, clip_shape=shape, **params)


# --- Parameter counts at the published sizes (16 x 64 x 64 grey clips). ---

LARGE_C3D = {
    "stem": [64, 3, [1, 2, 2]],
    "stages": [[128, 1, 2], [256, 2, 2], [512, 2, 2], [512, 2, 2]],
    "dense": [4096, 2048],
}


@pytest.mark.parametrize(
    ("name", "params", "head_inputs", "parameters"),
    [
        ("c3d", {}, 512, 1_122_708),
        ("c3d", LARGE_C3D, 2048, 44_482_324),
        ("resnet3d", {}, 4096, 1_209_492),
        ("resnet3d", {"factorised": True}, 4096, 1_212_671),
    ],
    ids=["C3D small", "C3D large", "R3D-10 small", "R(2+1)D-10 small"],
)
def test_parameters_with_a_head_of_20(name, params, head_inputs, parameters):
    with torch.device("meta"):
        model = models.create(name, clip_shape=(1, 16, 64, 64), **params).eval()
        assert model(torch.empty(1, 1, 16, 64, 64)).shape == (1, head_inputs)
        assert count(model) + count(nn.Linear(head_inputs, 20)) == parameters


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_recurrent_models():
    with torch.device("meta"):
        cnn_lstm = models.create("cnn_lstm", clip_shape=(1, 16, 64, 64))
        encoder = models.create("lstm_encoder", clip_shape=(1, 10, 64, 64))
        deep = models.create("lstm_encoder", clip_shape=(1, 10, 64, 64), num_layers=2)
        conv_lstm = models.create("conv_lstm", clip_shape=(1, 16, 64, 64))
    assert (count(cnn_lstm.cnn), count(cnn_lstm.lstm)) == (558_016, 17_843_712)
    assert (count(encoder), count(deep)) == (50_345_984, 83_914_752)
    # Per layer: four 3x3 convolutions of input and hidden map, four biases, three maps of
    # peepholes.
    layers = [(1, 32, 64), (32, 32, 32), (32, 64, 16), (64, 64, 8), (64, 128, 4)]
    assert (
        count(conv_lstm)
        == sum(4 * f * (9 * (c + f) + 1) + 3 * f * side**2 for c, f, side in layers)
        == 2_072_960
    )


# --- Details of single architectures. ---


def test_c3d_names_and_sizes_of_the_reference_maps():
    with torch.device("meta"):
        model = models.create("c3d", clip_shape=(1, 16, 64, 64))
        maps = torch.empty(1, 1, 16, 64, 64)
        sizes = {}
        for name in model.layers:
            maps = model.get_submodule(name)(maps)
            sizes[name] = tuple(maps.shape[1:])
    assert (
        sizes["conv1"] == (32, 16, 32, 32)
        and sizes["conv3"] == (32, 8, 16, 16)
        and sizes["conv7"] == (64, 2, 4, 4)
    )
    assert sizes["conv9"] == (128, 1, 2, 2) and sizes["embedding"] == (512,)


def test_mid_channels_of_the_reference():
    pairs = [(32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
    assert [mid_channels(*pair) for pair in pairs] == [72, 115, 144, 230, 288]


@pytest.mark.parametrize(("depth", "blocks"), [(10, 4), (16, 7), (18, 8), (26, 12), (34, 16)])
def test_resnet_depths(depth, blocks):
    with torch.device("meta"):
        model = models.create("resnet3d", clip_shape=(1, 16, 64, 64), depth=depth)
    assert model.layers == ("stem", *(f"res{number}" for number in range(blocks)), "embedding")


def test_resnet_blur_is_the_mean_over_the_window_inside_the_map():
    model = build("r3d").eval()
    maps = torch.randn(1, 8, 2, 9, 9)
    blurred = model.embedding(maps).unflatten(1, (8, 2, 9, 9))
    assert torch.allclose(blurred[..., 4, 4], maps[..., 1:8, 1:8].mean((3, 4)), atol=1e-6)
    assert torch.allclose(blurred[..., 0, 8], maps[..., 0:4, 5:9].mean((3, 4)), atol=1e-6)
    small = torch.randn(1, 8, 2, 4, 4)
    everywhere = model.embedding(small).unflatten(1, (8, 2, 16))
    assert torch.allclose(
        everywhere, small.mean((3, 4)).unsqueeze(3).expand_as(everywhere), atol=1e-6
    )


def test_cnn_lstm_reads_frames_one_by_one_and_in_order():
    model = build("cnn_lstm").eval()
    (clip,) = batch(model)
    frames = model.frame_features(clip)
    assert torch.allclose(frames[:, 3:4], model.frame_features(clip[:, :, 3:4]), atol=1e-6)
    late = clip.clone()
    late[:, :, 5:] = 0
    assert torch.equal(model(late)[:, :5], model(clip)[:, :5]) and not torch.equal(
        model(late)[:, 5:], model(clip)[:, 5:]
    )
    assert torch.equal(model.sequence(frames), model(clip))


def test_conv_lstm_embedding_is_the_last_frame_of_the_last_layer():
    model = build("conv_lstm").eval()
    (clip,) = batch(model)
    maps = model.convlstm2(model.convlstm1(clip))
    assert torch.equal(model(clip), maps[:, :, -1].flatten(1))


def test_pixels_are_the_clip():
    clip = torch.rand(2, 3, 4, 5, 6)
    assert torch.equal(models.create("pixels", clip_shape=clip.shape[1:])(clip), clip.flatten(1))


# --- Recurrent cells. ---


def plain_lstm(layer: PeepholeLSTM, inputs, hidden, cell, activation):
    """The textbook equations, one step and one gate at a time."""
    w_i, w_f, w_a, w_o = layer.weight_input.split(layer.units)
    u_i, u_f, u_a, u_o = layer.weight_hidden.split(layer.units)
    b_i, b_f, b_a, b_o = layer.bias.split(layer.units)
    p_i, p_f, p_o = layer.peepholes
    sequence = []
    for x in inputs.unbind(1):
        i = torch.sigmoid(x @ w_i.T + hidden @ u_i.T + cell * p_i + b_i)
        f = torch.sigmoid(x @ w_f.T + hidden @ u_f.T + cell * p_f + b_f)
        cell = f * cell + i * activation(x @ w_a.T + hidden @ u_a.T + b_a)
        o = torch.sigmoid(x @ w_o.T + hidden @ u_o.T + cell * p_o + b_o)
        hidden = o * activation(cell)
        sequence.append(hidden)
    return torch.stack(sequence, 1), hidden, cell


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_peephole_lstm_against_the_equations(activation):
    torch.manual_seed(0)
    layer = PeepholeLSTM(5, 4, activation=activation, forget_bias=1.0)
    inputs = torch.randn(3, 6, 5)
    hidden = torch.randn(3, 4)
    cell = torch.randn(3, 4)
    expected, last_hidden, last_cell = plain_lstm(
        layer, inputs, hidden, cell, getattr(torch, activation)
    )
    sequence, (h, c) = layer.unroll(inputs, (hidden, cell))
    for got, wanted in [(sequence, expected), (h, last_hidden), (c, last_cell)]:
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)
    zeros = torch.zeros(3, 4)
    torch.testing.assert_close(
        layer(inputs), plain_lstm(layer, inputs, zeros, zeros, getattr(torch, activation))[0]
    )


def test_lstm_without_peepholes_against_torch():
    torch.manual_seed(0)
    layer = PeepholeLSTM(5, 4, peepholes=False)
    reference = nn.LSTM(5, 4, batch_first=True)
    with torch.no_grad():  # torch keeps the same gate order under other names, and a second bias
        layer.weight_input.copy_(reference.weight_ih_l0)
        layer.weight_hidden.copy_(reference.weight_hh_l0)
        layer.bias.copy_(reference.bias_ih_l0 + reference.bias_hh_l0)
    inputs = torch.randn(3, 6, 5)
    expected, (hidden, cell) = reference(inputs)
    sequence, (h, c) = layer.unroll(inputs)
    for got, wanted in [(sequence, expected), (h, hidden[0]), (c, cell[0])]:
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)


def test_steps_and_runs_without_input():
    torch.manual_seed(0)
    layer = PeepholeLSTM(5, 4)
    state = (torch.randn(3, 4), torch.randn(3, 4))
    inputs = torch.randn(3, 6, 5)
    stepped = state
    for x in inputs.unbind(1):
        stepped = layer.step(x, stepped)
    torch.testing.assert_close(stepped, layer.unroll(inputs, state)[1])
    torch.testing.assert_close(layer.step(None, state), layer.step(torch.zeros(3, 5), state))

    free = PeepholeLSTM(0, 4)
    assert free.weight_input is None and count(free) == 4 * 4 * 4 + 4 * 4 + 3 * 4
    sequence, last = free.unroll_free(3, state)
    torch.testing.assert_close(last, free.step(None, free.step(None, free.step(None, state))))
    assert sequence.shape == (3, 3, 4) and torch.equal(sequence[:, -1], last[0])


def test_lstm_initial_values():
    torch.manual_seed(0)
    small = PeepholeLSTM(300, 100, init="small_uniform")
    assert (
        small.weight_input.abs().max() <= 0.01
        and small.weight_input.std().item() == pytest.approx(0.01 / 3**0.5, rel=0.02)
    )
    assert 0.09 < small.peepholes.abs().max() <= 0.1 and small.bias.abs().max() == 0
    glorot = PeepholeLSTM(300, 100, forget_bias=1.0)
    assert glorot.weight_hidden.std().item() == pytest.approx((2 / (400 + 400)) ** 0.5, rel=0.02)
    assert glorot.bias.tolist() == [0.0] * 100 + [1.0] * 100 + [0.0] * 200
    uniform = PeepholeLSTM(300, 100, **INITS["glorot"])
    limits = {"weight_input": (6 / (300 + 100)) ** 0.5, "weight_hidden": (6 / (100 + 100)) ** 0.5}
    for name, limit in limits.items():
        largest = getattr(uniform, name).abs().max().item()
        assert 0.99 * limit < largest <= limit
    assert uniform.peepholes.abs().max() == 0 and torch.equal(uniform.bias, glorot.bias)


def test_states_keep_full_precision_under_autocast():
    layer = PeepholeLSTM(5, 4, peepholes=False)
    with torch.autocast("cpu", torch.bfloat16):
        _, (_, cell) = layer.unroll(torch.randn(3, 6, 5))
    assert cell.dtype == torch.float32


def test_encoder_embedding_splits_into_the_states_of_its_layers():
    model = build("lstm_encoder").eval()
    (clip,) = batch(model)
    frames = clip.transpose(1, 2).flatten(2)  # (B, T, H * W)
    first, state_1 = model.cells[0].unroll(frames)
    _, state_2 = model.cells[1].unroll(first)
    states = split_states(model(clip), model.units)
    assert len(states) == model.num_layers
    torch.testing.assert_close(states, [state_1, state_2])
    assert torch.equal(join_states(states), model(clip))


def test_conv_lstm_convolves_the_inputs_of_all_steps_at_once():
    layer = ConvLSTM(2, 3, size=(5, 6))
    calls = {"conv_input": [], "conv_hidden": []}
    for name, shapes in calls.items():
        layer.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, shapes=shapes: shapes.append(tuple(inputs[0].shape))
        )
    layer(torch.randn(2, 2, 4, 5, 6))
    assert calls == {
        "conv_input": [(2, 2, 4, 5, 6)],
        "conv_hidden": [(2, 3, 1, 5, 6)] * 3,
    }, "the first hidden map is zero"


def test_conv_lstm_against_a_plain_loop():
    torch.manual_seed(0)
    layer = ConvLSTM(2, 3, size=(5, 6))
    nn.init.normal_(layer.peepholes)
    p_i, p_f, p_o = layer.peepholes[:, :, 0]  # (F, H, W)
    # one convolution of [x, h]
    weight = torch.cat([layer.conv_input.weight, layer.conv_hidden.weight], 1)[:, :, 0]
    inputs = torch.randn(2, 2, 4, 5, 6)
    hidden = torch.zeros(2, 3, 5, 6)
    cell = torch.zeros(2, 3, 5, 6)
    sequence = []
    for x in inputs.unbind(2):
        i, f, a, o = F.conv2d(
            torch.cat([x, hidden], 1), weight, layer.conv_input.bias, padding=1
        ).chunk(4, 1)
        new_cell = torch.sigmoid(f + p_f * cell) * cell + torch.sigmoid(
            i + p_i * cell
        ) * torch.tanh(a)
        hidden = torch.sigmoid(o + p_o * new_cell) * torch.tanh(new_cell)
        cell = new_cell
        sequence.append(hidden)
    torch.testing.assert_close(layer(inputs), torch.stack(sequence, 2), rtol=1e-4, atol=1e-5)


# --- The table of models. ---


def test_every_model_is_tested_here_or_in_a_file_of_its_own():
    others = "".join(
        path.read_text()
        for path in Path(__file__).parent.glob("test_*.py")
        if path.name != Path(__file__).name
    )
    for name in set(models.names()) - {name for name, _, _ in CASES.values()}:
        assert name in others, name


def test_create_takes_a_users_model(tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self, shape, *, width):\n   "
        "     super().__init__()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(models.create("own_net:Net", clip_shape=(1, 2, 3, 4), width=2), nn.Module)
    with pytest.raises(ValueError, match=r"missing a required .*argument: 'width'"):
        models.create("own_net:Net", clip_shape=(1, 2, 3, 4))
    with pytest.raises(ValueError, match="has no 'Other'"):
        models.create("own_net:Other", clip_shape=(1, 2, 3, 4))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("c4d", {}, r"unknown model 'c4d': did you mean c3d\?"),
        ("c3d", {"widths": 3}, "unknown parameter 'widths'; it takes stem, stages, dense, dropout"),
        ("pixels", {"widths": 3}, "it takes none"),
        ("no_such_module:Net", {}, "there is no module 'no_such_module'"),
    ],
)
def test_create_names_what_is_wrong(name, params, message):
    with pytest.raises(ValueError, match=message):
        models.create(name, clip_shape=(1, 16, 64, 64), **params)
