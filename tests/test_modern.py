"""Predictors of frames and self-supervised transformers against slow independent forms."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vidrep import models
from vidrep.activations.capture import capturing
from vidrep.listing import build_on_meta, clip_shape
from vidrep.models.pred_rnn import FORGET_BIAS
from vidrep.models.simvp import FrameDecoder, MixerBlock
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.objectives.latent_prediction import spread
from vidrep.objectives.masking import (
    by_place,
    encode_some,
    fixed_order,
    random_order,
    take,
    wave_positions,
)
from vidrep.systems import DEFAULT_RECIPE, system
from vidrep.training.device import Device
from vidrep.training.run import train_run

SHAPE = DataShape((1, 6, 8, 8), 3, multi_label=True)
SIMVP = {
    "model": "simvp",
    "params": {
        "channels": 4,
        "depth": 2,
        "translator_channels": 6,
        "translator_depth": 2,
        "kernel": 3,
    },
}
PRED_RNN = {"model": "pred_rnn", "params": {"channels": 3, "depth": 2, "kernel": 3, "patch": 4}}
TRANSFORMER = {
    "model": "video_transformer",
    "params": {"patch": [2, 2, 2], "width": 8, "depth": 1, "heads": 2},
}
SMALL = {"masked": 0.75, "width": 6, "depth": 1, "heads": 2}


def predictor(parts: dict, observed: int = 4, shape: DataShape = SHAPE) -> nn.Module:
    torch.manual_seed(0)
    entry = {
        "name": "predictor",
        "objective": "future_frames",
        "objective_params": {"observed": observed},
        **parts,
    }
    return build(system(entry).definition(), shape).eval()


def masked(objective: str, shape: DataShape = SHAPE, **params) -> nn.Module:
    torch.manual_seed(0)
    entry = {
        "name": "masked",
        "objective": objective,
        "objective_params": {**SMALL, **params},
        **TRANSFORMER,
    }
    return build(system(entry).definition(), shape).eval()


def batch_of(count: int, shape: DataShape = SHAPE) -> dict[str, torch.Tensor]:
    return {
        "clip": torch.rand(count, *shape.clip, generator=torch.Generator().manual_seed(1)),
        "row": torch.arange(count),
    }


# --- Published sizes. ---


@pytest.mark.parametrize(
    ("name", "weights", "published"),
    [("simvp", 3_919_361, 3.9e6), ("pred_rnn", 23_838_720, 23.8e6)],
)
def test_reference_sizes_are_those_of_the_table(name, weights, published):
    """OpenSTL, arXiv 2306.11249: SimVP with ConvMixer 3.9 M, PredRNN 23.8 M weights."""
    objective = build_on_meta(system(name), clip_shape(name))
    found = sum(parameter.numel() for parameter in objective.parameters())
    assert found == weights and found == pytest.approx(published, abs=0.05e6)


# --- PredRNN. ---


def pred_rnn_by_hand(model, decoder, clip: torch.Tensor, steps: int) -> torch.Tensor:
    """The equations gate by gate and frame by frame: (C, T, H, W) -> (C, steps, H, W)."""
    side = model.patch
    size = model.cells[0].channels

    def conv(weight, maps):
        return F.conv2d(maps[None], weight, padding=weight.shape[-1] // 2)[0]

    def cut(frame):  # (C, H, W) -> (C * p * p, h, w)
        return torch.stack(
            [
                frame[c, i::side, j::side]
                for c in range(len(frame))
                for i in range(side)
                for j in range(side)
            ]
        )

    def paste(maps):
        frame = torch.empty(clip.shape[0], *clip.shape[2:], dtype=clip.dtype)
        for number, values in enumerate(maps):
            c = number // side**2
            i = number // side % side
            j = number % side
            frame[c, i::side, j::side] = values
        return frame

    height = clip.shape[2] // side
    width = clip.shape[3] // side
    hidden = [torch.zeros(size, height, width, dtype=clip.dtype) for _ in model.cells]
    cells = list(hidden)
    memory = hidden[0]
    generated = []
    for step in range(clip.shape[1] + steps - 1):
        below = cut(clip[:, step]) if step < clip.shape[1] else generated[-1]
        for layer, cell in enumerate(model.cells):
            xi, xf, xg, mi, mf, mg, xo = (
                conv(w, below) for w in cell.conv_input.weight.split(size)
            )
            hi, hf, hg, ho = (conv(w, hidden[layer]) for w in cell.conv_hidden.weight.split(size))
            ki, kf, kg = (conv(w, memory) for w in cell.conv_memory.weight.split(size))
            cells[layer] = (xf + hf + FORGET_BIAS).sigmoid() * cells[layer] + (
                xi + hi
            ).sigmoid() * (xg + hg).tanh()
            memory = (mf + kf + FORGET_BIAS).sigmoid() * memory + (mi + ki).sigmoid() * (
                mg + kg
            ).tanh()
            both = torch.cat([cells[layer], memory])
            gate = (xo + ho + conv(cell.conv_output.weight, both)).sigmoid()
            below = hidden[layer] = gate * conv(cell.conv_last.weight, both).tanh()
        if step >= clip.shape[1] - 1:
            generated.append(conv(decoder.weight, below))
    return torch.stack([paste(maps) for maps in generated], dim=1)


def test_pred_rnn_against_its_equations():
    objective = predictor(PRED_RNN).double()
    clip = batch_of(2)["clip"][:, :, :4].double()
    generated = objective.model.predict(clip, 3, objective.decoder)
    by_hand = torch.stack(
        [pred_rnn_by_hand(objective.model, objective.decoder, one, 3) for one in clip]
    )
    torch.testing.assert_close(generated, by_hand, rtol=1e-10, atol=1e-12)


def test_a_rollout_goes_on_from_the_observed_frames_without_reading_them_again():
    objective = predictor(PRED_RNN)
    batch = batch_of(2)
    calls = []
    objective.model.cells[0].register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        long = objective.rollout(batch, 20)
    assert long.shape == (2, 1, 20, 8, 8) and len(calls) == 4 + 19
    assert torch.equal(long[:, :, :2], objective.generate(batch)["prediction"])


# --- SimVP. ---


def test_mixer_block_against_its_formula():
    torch.manual_seed(0)
    block = MixerBlock(3, 5, 3).double().eval()
    maps = torch.randn(2, 3, 1, 4, 4, dtype=torch.float64)
    (depthwise, _, norm), (pointwise, _, norm2, widen) = block.space, block.mix
    nn.init.uniform_(norm.running_mean), nn.init.uniform_(norm2.running_var, 0.5, 2)

    def normal(layer, x):
        shape = (1, -1, 1, 1)
        return (x - layer.running_mean.view(shape)) / (
            layer.running_var.view(shape) + layer.eps
        ).sqrt()

    x = maps[:, :, 0]
    padded = F.pad(maps[:, :, 0], (1, 1, 1, 1))
    spatial = torch.zeros_like(x) + depthwise.bias[:, None, None]
    for i in range(3):
        for j in range(3):
            spatial += depthwise.weight[:, 0, i, j, None, None] * padded[:, :, i : i + 4, j : j + 4]
    x = x + normal(norm, F.gelu(spatial))
    x = normal(
        norm2,
        F.gelu(
            torch.einsum("oc,bchw->bohw", pointwise.weight[..., 0, 0], x)
            + pointwise.bias[:, None, None]
        ),
    )
    expected = torch.einsum("oc,bchw->bohw", widen.weight[..., 0, 0], x) + widen.bias[:, None, None]
    torch.testing.assert_close(block(maps)[:, :, 0], expected, rtol=1e-10, atol=1e-12)


def test_long_futures_are_predicted_block_by_block_and_short_ones_are_their_first_frames():
    objective = predictor(SIMVP)
    clip = batch_of(2)["clip"][:, :, :4]
    with torch.no_grad():
        first, long = (objective.model.predict(clip, steps, objective.decoder) for steps in (4, 7))
        second = objective.model.predict(first, 3, objective.decoder)
    torch.testing.assert_close(long, torch.cat([first, second], dim=2))


def test_a_frame_is_predicted_from_all_observed_frames_and_the_skip_of_its_own_place():
    objective = predictor(SIMVP)
    clip = batch_of(1)["clip"][:, :, :4]
    other = clip.clone()
    other[:, :, 3] = 0
    with torch.no_grad():
        assert not torch.equal(
            *(objective.model.predict(c, 1, objective.decoder) for c in (clip, other))
        )
        decoder = FrameDecoder(4, 1, 2).eval()
        maps = torch.rand(1, 4, 3, 4, 4)
        skip = torch.rand(1, 4, 3, 8, 8)
        changed = skip.clone()
        changed[:, :, 1] += 1
        moved = (decoder(maps, skip) - decoder(maps, changed)).abs().amax((0, 1, 3, 4)) > 0
    assert moved.tolist() == [False, True, False]


def test_sizes_that_do_not_fit_are_refused():
    for name, params, problem in [
        ("simvp", {"depth": 6}, "multiples of 8"),
        ("simvp", {"channels": 3}, "multiple of 2"),
        ("simvp", {"translator_depth": 1}, "at least 2"),
        ("pred_rnn", {"patch": 3}, "patches of 3"),
        ("pred_rnn", {"kernel": 2}, "odd"),
    ]:
        with pytest.raises(ValueError, match=problem):
            models.create(name, clip_shape=(1, 4, 20, 20), **params)


# --- Future frames. ---


@pytest.mark.parametrize("parts", [SIMVP, PRED_RNN], ids=["simvp", "pred_rnn"])
def test_the_future_is_not_seen_and_scores_are_squared_errors(parts):
    objective = predictor(parts)
    batch = batch_of(3)
    blind = {"clip": batch["clip"].clone()}
    blind["clip"][:, :, 4:] = 0
    with torch.no_grad():
        generated = objective.generate(batch)["prediction"]
        raw = objective.predict(batch, 2)
        assert torch.equal(generated, objective.generate(blind)["prediction"]) and torch.equal(
            generated, raw.clamp(0, 1)
        )
        scores = objective.score(batch)
        loss = objective.loss(batch)
    true = batch["clip"][:, :, 4:].numpy()
    np.testing.assert_allclose(
        scores["loss"], ((raw.numpy() - true) ** 2).reshape(3, -1).mean(1), rtol=1e-5
    )
    np.testing.assert_allclose(
        scores["prediction_squared_error_per_frame"],
        ((generated.numpy() - true) ** 2).reshape(3, -1).sum(1) / 2,
        rtol=1e-5,
    )
    assert loss.item() == pytest.approx(scores["loss"].mean().item(), rel=1e-5)


def test_a_model_that_does_not_predict_is_refused():
    with pytest.raises(ValueError, match="VideoTransformer has no make_decoder, predict"):
        predictor(TRANSFORMER)
    with pytest.raises(ValueError, match="observed is 6 of 6"):
        predictor(SIMVP, observed=6)


# --- Masks. ---


def test_fixed_masks_stay_differ_between_clips_and_favour_no_place():
    order = fixed_order(torch.arange(3000), 16)
    assert torch.equal(order.sort(1).values, torch.arange(16).expand(3000, -1))
    assert torch.equal(fixed_order(torch.tensor([7, 2999]), 16), order[[7, 2999]])
    for turn in (0, 3, 15):  # five standard deviations of a binomial around a sixteenth
        counts = torch.bincount(order[:, turn], minlength=16)
        assert (counts - 3000 / 16).abs().max() < 5 * (3000 / 16 * 15 / 16) ** 0.5
    assert (order[1:, 0] == order[:-1, 0]).float().mean() < 0.1


def test_tubelets_are_blocks_of_pixels_at_their_place_and_back_again():
    objective = masked("masked_autoencoder", DataShape((3, 4, 6, 8), 3, True))
    clip = torch.rand(2, 3, 4, 6, 8)
    tubelets = objective.tubelets(clip)
    assert tubelets.shape == (2, 2, 12, 24)
    for t, h, w in np.ndindex(2, 3, 4):
        block = clip[:, :, 2 * t : 2 * t + 2, 2 * h : 2 * h + 2, 2 * w : 2 * w + 2]
        assert torch.equal(tubelets[:, t, 4 * h + w], block.flatten(1))
    assert torch.equal(objective.clips(tubelets), clip)


def test_positions_are_waves_along_each_axis_and_all_different():
    waves = wave_positions(14, (3, 4, 5))  # two frequencies an axis, two features left
    assert waves.shape == (14, 3, 4, 5) and not waves[12:].any()
    for t, h, w in np.ndindex(3, 4, 5):
        expected = [
            f(place * scale)
            for place in (t, h, w)
            for f in (np.sin, np.cos)
            for scale in (1.0, 0.01)
        ]
        np.testing.assert_allclose(waves[:12, t, h, w], expected, atol=1e-6)
    assert len(waves.flatten(1).T.unique(dim=0)) == 60


def test_shown_all_places_the_encoder_says_what_it_always_says():
    objective = masked("masked_autoencoder")
    batch = batch_of(2)
    order = random_order(2, 16, torch.device("cpu"))
    with torch.no_grad():
        some = encode_some(objective.model, batch["clip"], order)
        tokens = objective.model.embedding.norm(
            by_place(objective.model.encode(objective.model.embed(batch["clip"])))
        )
        torch.testing.assert_close(some, take(tokens, order), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(some.mean((1, 2)), objective.embed(batch), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("objective", ["masked_autoencoder", "latent_prediction"])
def test_masks_that_cannot_be_are_refused(objective):
    with pytest.raises(ValueError, match="leaves 16 to see"):
        masked(objective, masked=0.01)
    with pytest.raises(ValueError, match="joint attention"):
        entry = {
            "name": "x",
            "objective": objective,
            **TRANSFORMER,
            "params": {**TRANSFORMER["params"], "attention": "divided"},
        }
        build(system(entry).definition(), SHAPE)


# --- Masked autoencoder. ---


@pytest.mark.parametrize("normalised", [False, True])
def test_masked_pixels_are_not_seen_and_pictures_show_what_is(normalised):
    objective = masked("masked_autoencoder", normalised=normalised)
    batch = batch_of(3)
    order = fixed_order(batch["row"], 16)
    hidden = torch.zeros(3, 16, dtype=torch.bool).scatter(1, order[:, 4:], True)
    pixels = (
        hidden.view(3, 1, 1, 4, 4)
        .repeat_interleave(2, 3)
        .repeat_interleave(2, 4)
        .expand(3, 1, 6, 8, 8)
    )
    blind = {**batch, "clip": batch["clip"].masked_fill(pixels, 0.0)}
    with torch.no_grad():
        generated = objective.generate(batch)
        without = objective.generate(blind)
        assert torch.equal(generated["reconstruction"], without["reconstruction"])
        assert torch.equal(generated["masked"], without["masked"]) and torch.equal(
            generated["masked"], batch["clip"].masked_fill(pixels, 0.5)
        )
        assert torch.equal(generated["reconstruction"][~pixels], batch["clip"][~pixels])
        assert generated["reconstruction"].min() >= 0 and generated["reconstruction"].max() <= 1
        error = (generated["reconstruction"] - batch["clip"]).square()[pixels].view(3, -1).mean(1)
        torch.testing.assert_close(
            objective.score(batch)["masked_squared_error_per_pixel"], error, rtol=1e-5, atol=1e-7
        )


@pytest.mark.parametrize("normalised", [False, True])
def test_loss_against_a_loop_over_masked_tubelets(normalised):
    objective = masked("masked_autoencoder", normalised=normalised).double()
    batch = batch_of(2)
    batch["clip"] = batch["clip"].double()
    order = fixed_order(batch["row"], 16)
    with torch.no_grad():
        answers = objective.answers(batch, order).numpy()
        found = objective.score(batch)["loss"].numpy()
    for clip in range(2):
        errors = []
        for t in range(3):
            for turn, place in enumerate(order[clip, 4:].tolist()):
                h = 2 * (place // 4)
                w = 2 * (place % 4)
                target = (
                    batch["clip"][clip, :, 2 * t : 2 * t + 2, h : h + 2, w : w + 2].numpy().ravel()
                )
                if normalised:
                    mean = target.mean()
                    deviation = (target.var() + 1e-6) ** 0.5
                    target = np.r_[(target - mean) / deviation, mean, deviation]
                errors.append((answers[clip, t, turn] - target) ** 2)
        assert found[clip] == pytest.approx(np.mean(errors), rel=1e-6)


# --- Latent prediction. ---


def test_the_average_follows_one_step_behind_and_is_neither_trained_nor_counted():
    objective = masked("latent_prediction", momentum=0.75).train()
    batch = batch_of(4)
    start = {name: value.clone() for name, value in objective.model.state_dict().items()}
    assert not [name for name, _ in objective.named_parameters() if name.startswith("average")]
    optimiser = torch.optim.SGD(objective.parameters(), lr=0.1)
    after = []
    for _ in range(2):
        optimiser.zero_grad()
        objective.loss(batch).backward()
        optimiser.step()
        after.append({name: value.clone() for name, value in objective.model.state_dict().items()})
    objective.eval().score(batch)  # does not move it
    for name, value in objective.average.state_dict().items():
        torch.testing.assert_close(value, 0.75 * start[name] + 0.25 * after[0][name])


def test_targets_are_the_whole_clips_features_and_pass_gradients_only_in_the_control():
    batch = batch_of(2)
    order = fixed_order(batch["row"], 16)
    for target, reached in (("average", False), ("self", True)):
        objective = masked("latent_prediction", target=target)
        targets = objective.masked(objective.targets(batch["clip"]), order)
        assert targets.requires_grad == reached
        tokens = objective.model.embedding.norm(
            by_place(objective.model.encode(objective.model.embed(batch["clip"])))
        )
        torch.testing.assert_close(
            targets, take(F.layer_norm(tokens, (8,)), order[:, 4:]), rtol=1e-5, atol=1e-6
        )


@torch.no_grad()
def test_explained_is_held_against_the_mean_target_of_every_place():
    objective = masked("latent_prediction").eval()
    batch = batch_of(4)
    order = fixed_order(batch["row"], 16)
    targets = objective.targets(batch["clip"])
    scores = objective.score(batch)
    of_mean = []
    for clip, places in zip(targets, order, strict=True):
        hidden = places[4:]
        of_mean.append((clip[:, hidden] - targets.mean(0)[:, hidden]).abs().mean())
    expected = 1 - scores["loss"] / torch.stack(of_mean).mean()
    torch.testing.assert_close(scores["explained"], expected)


def test_a_run_from_other_weights_starts_with_an_average_of_those():
    objective = masked("latent_prediction")
    nn.init.ones_(objective.model.embed.project.weight)
    objective.prepare("train", [])
    assert all(
        torch.equal(value, objective.model.state_dict()[name])
        for name, value in objective.average.state_dict().items()
    )


def test_spread_of_equal_isotropic_and_stretched_embeddings():
    std, rank = spread(torch.ones(5, 3))
    assert std == 0 and rank == 1
    corners = torch.tensor([[1.0, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]])
    std, rank = spread(corners)
    assert std == pytest.approx(2 / 3) and rank == pytest.approx(2)
    # two thirds and one third of the singular values
    std, rank = spread(corners * torch.tensor([1.0, 0.5, 0]))
    assert rank == pytest.approx(np.exp(-2 / 3 * np.log(2 / 3) - 1 / 3 * np.log(1 / 3)))


def test_a_killed_run_goes_on_to_the_same_weights(make_split, tmp_path):
    recipe = {**DEFAULT_RECIPE, "lr": 1e-2, "batch": 4, "epochs": [3]}
    definition = {
        "name": "v",
        "objective": "latent_prediction",
        "objective_params": {**SMALL, "momentum": 0.5},
        **TRANSFORMER,
        "first_seed": 0,
        "recipe": recipe,
    }
    definition["params"] = {**TRANSFORMER["params"], "patch": [2, 4, 4]}
    splits = make_split(9, split="train", seed=1), make_split(5, split="validation", seed=2)

    class Killed(Exception):
        pass

    def train(folder, report):
        where = Device(torch.device("cpu"), "float32")
        options = {
            "seed": 0,
            "run_seed": 0,
            "device": where,
            "folder": folder,
            "fingerprint": "",
            "about": {},
        }
        train_run(definition, *splits, **options, report=report)
        return (folder / "weights.pt").read_bytes(), json.loads((folder / "run.json").read_text())[
            "selected"
        ]

    lines = []

    def kill(line):
        lines.append(line)
        if len(lines) == 2:
            raise Killed

    whole = train(tmp_path / "whole", lambda line: None)
    with pytest.raises(Killed):
        train(tmp_path / "killed", kill)
    assert (tmp_path / "killed" / "checkpoint.pt").exists()
    assert train(tmp_path / "killed", lambda line: None) == whole


# --- Opening up. ---


@pytest.mark.parametrize("made", ["simvp", "pred_rnn", "masked_autoencoder", "latent_prediction"])
def test_scoring_leaves_the_layers_of_whole_true_clips_with_the_hooks(made):
    predicts = {"simvp": SIMVP, "pred_rnn": PRED_RNN}
    objective = predictor(predicts[made], observed=2) if made in predicts else masked(made)
    batch = batch_of(3)
    layers = tuple(objective.model.layers)
    with torch.no_grad(), capturing(objective.model, layers) as captured:
        objective.embed(batch)
        expected = dict(captured)
        captured.clear()
        objective.score(batch)
    assert list(captured) == list(layers)
    for name in layers:
        assert torch.equal(captured[name], expected[name]), name
