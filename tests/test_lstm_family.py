"""LSTM encoders and decoders, autoencoders with codes, percepts, rollouts, their figures."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vidrep import models, systems
from vidrep.models.gru import GRU
from vidrep.models.recurrent import PeepholeLSTM
from vidrep.models.recurrent_autoencoder import RecurrentAutoencoder
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.objectives.lstm_composite import LSTMComposite
from vidrep.objectives.percept_composite import PerceptComposite
from vidrep.objectives.reconstruction import Reconstruction
from vidrep.report.features import (
    GATES,
    Rollouts,
    features_figure,
    frame_energy,
    mosaic,
    roll_out,
    weight_pictures,
)
from vidrep.training.pretrained import start_from

OBSERVED = 5
SHAPE = DataShape((1, 8, 3, 4), 10, multi_label=True)


def batch_of(count: int, shape: DataShape = SHAPE) -> dict[str, torch.Tensor]:
    return {"clip": torch.rand(count, *shape.clip, generator=torch.Generator().manual_seed(5))}


def lively(objective: nn.Module) -> nn.Module:
    """Larger weights than the published ones, with which everything looks alike."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.normal_(std=0.5)
    return objective.eval()


def composite(
    shape: DataShape = SHAPE, num_layers: int = 1, init: str = "published", **options
) -> LSTMComposite:
    model = models.create(
        "lstm_encoder",
        clip_shape=LSTMComposite.model_clip_shape(shape.clip, OBSERVED),
        units=6,
        num_layers=num_layers,
        init=init,
    )
    return lively(LSTMComposite(model, shape, OBSERVED, **options))


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def reference(name: str):
    with torch.device("meta"):
        return build(
            systems.system(name).definition(), DataShape((1, 16, 64, 64), 10, multi_label=True)
        )


# --- Where training starts, and what it feeds. ---


@pytest.mark.parametrize("output", ["logistic", "linear"])
def test_readouts_start_at_the_mean_of_their_targets(output):
    """Mean over frames and clips, of two batches of unlike size; a pixel that is never lit."""
    objective = composite(output=output, init="glorot")
    first = batch_of(4)
    second = {"clip": batch_of(3)["clip"].square()}
    for batch in (first, second):
        batch["clip"][..., 0, 0] = 0
    objective.prepare("train", [first, second])
    frames = torch.cat([first["clip"], second["clip"]]).squeeze(1)  # (7, T, H, W)
    parts = {"reconstruction": frames[:, :OBSERVED], "prediction": frames[:, OBSERVED:]}
    for name, seen in parts.items():
        mean = objective.decoders[name].readout.bias.detach()
        if output == "logistic":
            mean = mean.sigmoid()
        expected = seen.mean((0, 1)).flatten()
        torch.testing.assert_close(mean[1:], expected[1:])
        assert 0 <= mean[0] < 0.0011


def test_published_networks_are_not_prepared():
    objective = composite()
    before = copy.deepcopy(objective.state_dict())
    objective.prepare("train", [batch_of(4)])
    assert all(torch.equal(before[name], value) for name, value in objective.state_dict().items())


def test_decoders_take_the_init_of_their_encoder():
    for name, forget_bias in (("published", 0.0), ("glorot", 1.0)):
        model = models.create("lstm_encoder", clip_shape=(1, OBSERVED, 3, 4), units=6, init=name)
        decoders = LSTMComposite(model, SHAPE, OBSERVED).decoders
        cells = [model.cells[0], *(decoder.layers[0] for decoder in decoders.values())]
        assert all((cell.bias[6:12] == forget_bias).all() for cell in cells)


@pytest.mark.parametrize("feeding", ["true_frames", "own_outputs"])
def test_own_outputs_are_fed_in_training_where_asked_for(feeding):
    """Then the loss is that of the scores; with true frames it rests on the true frames."""
    objective = composite(conditional=["prediction"], parts=["prediction"], feeding=feeding)
    batch = batch_of(5)
    loss = objective.loss(batch).item()
    scored = objective.score(batch)["loss"].mean().item()
    assert (loss == pytest.approx(scored)) == (feeding == "own_outputs")


# --- Published sizes. ---

LSTM_ENCODER = 4 * 2048 * (4096 + 2048) + 4 * 2048 + 3 * 2048
LSTM_DECODER = 4 * 2048 * (1024 + 2048) + 4 * 2048 + 3 * 2048
GRU_ENCODER, GRU_DECODER = (3 * 2048 * (inputs + 2048) + 3 * 2048 for inputs in (4096, 1024))
CODE = 1024 * (2048 + 1)
READOUT = 4096 * (2048 + 1)


def conv(channels_in: int, channels: int) -> int:
    """A 3 x 3 x 3 convolution with its bias and batch normalisation."""
    return channels * (27 * channels_in + 1) + 2 * channels


DENSE = 2048 * 1024 + 1024 + 1024 * 2048 + 2048
C3D = (
    conv(1, 32)
    + conv(32, 64)
    + conv(64, 64)
    + DENSE
    + 2 * conv(64, 64)
    + conv(64, 32)
    + conv(32, 32)
    + 27 * 32
    + 1
)


@pytest.mark.parametrize(
    ("name", "count", "millions"),
    [
        ("denoising_lstm", LSTM_ENCODER + CODE + LSTM_DECODER + READOUT, 86.0),
        ("denoising_gru", GRU_ENCODER + CODE + GRU_DECODER + READOUT, 67.1),
        ("denoising_c3d", C3D, 4.67),
    ],
)
def test_parameters_of_the_published_autoencoders(name, count, millions):
    assert (
        parameters(reference(name)) == count
        and round(count / 1e6, 2 if millions < 10 else 1) == millions
    )


def test_maps_of_the_convolutional_autoencoders():
    for name, code in (("denoising_c3d", 1024), ("denoising_c3d_large", 2048)):
        objective = reference(name)
        assert objective.model.map == (64, 2, 4, 4) and objective.model.code == code
        with torch.device("meta"):
            generated = objective.decoder(torch.zeros(2, code))
        assert generated.shape == (2, 1, 16, 64, 64)


def test_wirings_of_the_catalogue():
    """Every wiring of the paper has a narrow system; its two-layer model has a reference."""
    entries = {name: systems.system(name) for name in systems.catalogue()}
    wirings = {
        (
            tuple(s.objective_params.get("parts", ("reconstruction", "prediction"))),
            tuple(s.objective_params.get("conditional", ())),
        )
        for s in entries.values()
        if (s.model, s.objective, s.preset) == ("lstm_encoder", "lstm_composite", "narrow")
    }
    past = ("reconstruction",)
    future = ("prediction",)
    assert wirings >= {
        (past, ()),
        (past, past),
        (future, ()),
        (future, future),
        (past + future, ()),
        (past + future, future),
    }
    deep = build_meta_model("lstm_composite_deep")
    assert (deep.units, deep.num_layers) == (2048, 2)


def build_meta_model(name: str):
    return reference(name).model


# --- The GRU, step by step. ---


def test_gru_against_numpy():
    torch.manual_seed(0)
    layer = GRU(3, 4, activation="relu")
    inputs = torch.randn(2, 5, 3)
    state = torch.randn(2, 4)
    sequence, last = layer.unroll(inputs, state)
    weight = layer.weight_input.detach().double().numpy()
    bias = layer.bias.detach().double().numpy()
    assert bias.tolist() == [1.0] * 8 + [0.0] * 4
    gates_of, candidate_of = (
        w.detach().double().numpy() for w in (layer.weight_gates, layer.weight_candidate)
    )
    hidden = state.double().numpy()
    for t in range(5):
        drive = inputs[:, t].double().numpy() @ weight.T + bias
        reset, update = np.split(1 / (1 + np.exp(-(drive[:, :8] + hidden @ gates_of.T))), 2, axis=1)
        candidate = np.maximum(drive[:, 8:] + (reset * hidden) @ candidate_of.T, 0)
        hidden = update * hidden + (1 - update) * candidate
        np.testing.assert_allclose(sequence[:, t].detach(), hidden, rtol=1e-4, atol=1e-5)
    assert torch.equal(last, sequence[:, -1])


# --- Autoencoders with codes. ---


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_codes_are_read_forwards_and_frames_come_out_backwards(cell):
    objective = lively(
        Reconstruction(RecurrentAutoencoder(SHAPE.clip, cell=cell, units=6, code=3), SHAPE)
    )
    clip = batch_of(2)["clip"]
    frames = clip.transpose(1, 2).flatten(2)
    hidden, state = objective.model.encoder.unroll(frames)
    codes = objective.model.codes(hidden)
    assert torch.equal(objective.embed({"clip": clip}), codes[:, -1])
    expected = torch.empty(2, 8, 12)
    for step in range(8):
        _, state = objective.decoder.cell.unroll(codes[:, step : step + 1], state)
        hidden = state if cell == "gru" else state[0]
        # the first step predicts the last frame
        expected[:, 7 - step] = objective.decoder.readout(hidden)
    generated = objective.reconstruct(clip)
    torch.testing.assert_close(
        generated, expected.sigmoid().reshape(2, 1, 8, 3, 4).detach(), rtol=1e-4, atol=1e-5
    )


class Copy(nn.Module):
    """An autoencoder that gives back what it is fed, as logits."""

    inputs = ("clip",)
    layers = ()

    def forward(self, clip):
        return clip.flatten(1)

    def encode(self, clip):
        return clip.clamp(1e-6, 1 - 1e-6).logit()

    def make_decoder(self):
        return nn.Identity()


def test_the_target_of_denoising_is_clean():
    objective = Reconstruction(Copy(), SHAPE, noise=0.3)
    batch = batch_of(50)
    torch.manual_seed(0)
    loss = objective.loss(batch)
    torch.manual_seed(0)
    noisy = (batch["clip"] + 0.3 * torch.randn_like(batch["clip"])).clamp(0, 1)
    assert loss.item() == pytest.approx((noisy - batch["clip"]).square().mean().item(), rel=1e-3)
    torch.manual_seed(0)
    assert objective.loss(batch) == loss and objective.loss(batch) != loss, (
        "new noise at every step, from torch's generator"
    )
    scores = objective.score(batch)
    clean = Reconstruction(Copy(), SHAPE).score(batch)
    assert scores["loss"].max() < 1e-6 and set(clean) == {
        "loss",
        "reconstruction_squared_error_per_frame",
    }
    torch.testing.assert_close(
        scores["denoised_squared_error_per_frame"],
        scores["noisy_squared_error_per_frame"],
        rtol=1e-3,
        atol=0,
    )
    # Clipped noise of deviation s on values in [0, 1] has a squared error below s^2, here over 12
    # values a frame.
    assert 0.3 * 12 * 0.09 < scores["noisy_squared_error_per_frame"].mean() < 12 * 0.09
    halves = [
        objective.score({"clip": batch["clip"][part]}) for part in (slice(0, 20), slice(20, 50))
    ]
    for name, values in scores.items():
        assert torch.equal(values, torch.cat([half[name] for half in halves])), (
            "scores do not depend on batches"
        )
    generated = objective.generate(batch)
    assert generated["masked"].min() >= 0 and generated["masked"].max() <= 1
    torch.testing.assert_close(generated["reconstruction"], generated["masked"], rtol=0, atol=1e-4)


def test_a_denoiser_beats_its_input():
    torch.manual_seed(0)
    objective = Reconstruction(
        RecurrentAutoencoder(SHAPE.clip, units=24, code=16), SHAPE, noise=0.3
    )
    kinds = (torch.rand(3, *SHAPE.clip, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.01)
    for _ in range(150):
        optimiser.zero_grad()
        objective.loss({"clip": kinds.repeat(4, 1, 1, 1, 1)}).backward()
        optimiser.step()
    scores = objective.eval().score({"clip": kinds})
    assert (
        scores["denoised_squared_error_per_frame"].mean()
        < 0.5 * scores["noisy_squared_error_per_frame"].mean()
    )


# --- Linear outputs and percepts. ---


def test_linear_outputs_have_squared_error():
    objective = composite(output="linear", conditional=("prediction",))
    batch = batch_of(3)
    for teacher in (True, False):
        pairs = objective.decode(batch, teacher=teacher)
        errors = {
            name: ((generated - truth) ** 2).sum(-1).mean(-1)
            for name, (generated, truth) in pairs.items()
        }
        total = errors["reconstruction"] + errors["prediction"]
        if teacher:
            torch.testing.assert_close(objective.loss(batch), total.mean())
        else:
            scores = objective.score(batch)
            torch.testing.assert_close(scores["loss"], total)
            torch.testing.assert_close(
                scores["prediction_squared_error_per_frame"], errors["prediction"]
            )
            assert not any("nats" in name for name in scores)
    own = objective.decode(batch, teacher=False)["prediction"][0]
    layer = objective.decoders["prediction"].layers[0]
    state = layer.step(None, objective.states(objective.embed(batch))[0])
    # what it is fed is its own output as it is, not a sigmoid of it
    state = layer.step(own[:, 0], state)
    torch.testing.assert_close(
        own[:, 1], objective.decoders["prediction"].readout(state[0]), rtol=1e-4, atol=1e-4
    )
    generated = objective.generate(batch)["prediction"]
    assert generated.min() == 0 and generated.max() == 1 and own.min() < 0, (
        "pictures are clipped to [0, 1]"
    )


def percepts(**options) -> PerceptComposite:
    torch.manual_seed(0)
    shape = DataShape((1, 8, 6, 6), 10, multi_label=True)
    model = models.create(
        "percept_encoder",
        clip_shape=(1, OBSERVED, 6, 6),
        trunk_params={"widths": [2, 3, 7]},
        units=6,
        num_layers=2,
    )
    return PerceptComposite(model, shape, OBSERVED, **options)


def test_percepts_are_what_is_read_and_predicted():
    objective = percepts(conditional=("reconstruction",))
    batch = batch_of(3, objective.shape)
    features = objective.model.trunk(batch["clip"])
    decoded = objective.decode(batch, teacher=False)
    assert torch.equal(decoded["reconstruction"][1], features[:, [4, 3, 2, 1, 0]])
    assert torch.equal(decoded["prediction"][1], features[:, 5:]) and features.shape == (3, 8, 7)
    by_parts = objective.decode_from(objective.embed(batch), features, teacher=False)
    for name, (values, _) in decoded.items():
        torch.testing.assert_close(values, by_parts[name][0])
    assert set(objective.score(batch)) == {
        "loss",
        *(f"{part}_squared_error_per_frame" for part in decoded),
    }
    objective.loss(batch).backward()
    assert all(p.grad is None for p in objective.model.trunk.parameters()), "the trunk is frozen"
    assert not objective.generates and not hasattr(objective, "generate"), "percepts are no frames"


def test_percepts_start_from_the_networks_own_weights(tmp_path):
    first = percepts().model
    second = percepts().model
    with torch.no_grad():
        second.trunk.net.dense[1].weight.zero_()
    torch.save(first.trunk.net.state_dict(), tmp_path / "weights.pt")
    start_from(second, tmp_path / "weights.pt")
    assert torch.equal(second.trunk.net.dense[1].weight, first.trunk.net.dense[1].weight)


# --- Fine-tuning. ---


def test_a_classifier_starts_from_the_encoder_of_a_composite_run(tmp_path):
    pretrained = composite(num_layers=2)
    torch.save(pretrained.state_dict(), tmp_path / "weights.pt")
    definition = {
        "model": "lstm_encoder",
        "params": {"units": 6, "num_layers": 2, "output": "sequence"},
        "objective": "classification",
        "objective_params": {},
    }
    classifier = build(definition, SHAPE).eval()
    start_from(classifier.model, tmp_path / "weights.pt")
    clip = batch_of(3)["clip"]
    sequence = classifier.embed({"clip": clip})
    assert sequence.shape == (3, 8, 6), "a state for every step: the loss is taken at each"
    # h of layer 2 after the observed frames
    hidden = pretrained.model(clip[:, :, :OBSERVED])[:, 12:18]
    torch.testing.assert_close(sequence[:, OBSERVED - 1], hidden)
    assert classifier.logits({"clip": clip})[""].shape == (3, 8, 20)


def test_dropout_spares_the_recurrent_connections():
    torch.manual_seed(0)
    model = models.create(
        "lstm_encoder",
        clip_shape=SHAPE.clip,
        units=50,
        num_layers=2,
        output="sequence",
        dropout=0.5,
    ).train()
    lively(model).train()
    inputs = {}
    for number, cell in enumerate(model.cells):
        unroll = cell.unroll
        cell.unroll = lambda x, number=number, unroll=unroll: (
            inputs.__setitem__(number, x),
            unroll(x),
        )[1]
    clip = batch_of(2)["clip"]
    sequence = model(clip)
    assert (inputs[0] == model.frame_vectors(clip)).all(), "nothing of the frames is dropped"
    for values in (inputs[1], sequence):
        assert 0.35 < (values == 0).float().mean() < 0.65
    # its own recurrence is whole: what is kept is twice the state
    first = PeepholeLSTM.unroll(model.cells[0], inputs[0])[0]
    kept = inputs[1] != 0
    torch.testing.assert_close(inputs[1][kept], 2 * first[kept])


# --- Rollouts. ---


@pytest.mark.parametrize("conditional", [(), ("prediction",)])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_rollout_goes_on_where_the_prediction_ends(conditional, num_layers):
    objective = composite(conditional=conditional, num_layers=num_layers)
    batch = batch_of(3)
    seen = []
    objective.model.register_forward_hook(lambda *args: seen.append(1))
    generated = objective.rollout(batch, 40)
    assert generated.shape == (3, 1, 40, 3, 4) and len(seen) == 1, "the encoder runs once"
    torch.testing.assert_close(generated[:, :, :3], objective.generate(batch)["prediction"])
    torch.testing.assert_close(objective.rollout(batch, 7), generated[:, :, :7])
    observed = {"clip": batch["clip"][:, :, :OBSERVED]}
    assert torch.equal(objective.rollout(observed, 40), generated), (
        "no frame beyond the observed ones is used"
    )


def test_no_rollout_without_prediction():
    with pytest.raises(ValueError, match="no rollout without the part prediction"):
        composite(parts=("reconstruction",)).rollout(batch_of(1), 5)


# --- What cannot be built. ---


@pytest.mark.parametrize(
    ("model", "params", "objective", "options", "message"),
    [
        (
            "lstm_encoder",
            {"output": "all"},
            "classification",
            {},
            "output must be one of state, sequence",
        ),
        (
            "lstm_encoder",
            {"output": "sequence"},
            "lstm_composite",
            {"observed": 5},
            "needs one embedding",
        ),
        (
            "lstm_encoder",
            {},
            "lstm_composite",
            {"observed": 5, "output": "softmax"},
            "output is 'softmax'; give one of logistic, linear",
        ),
        (
            "lstm_encoder",
            {},
            "percept_composite",
            {"observed": 5},
            "model LSTMEncoder has no trunk",
        ),
        (
            "lstm_encoder",
            {},
            "reconstruction",
            {},
            "objective reconstruction: model LSTMEncoder has no make_decoder",
        ),
        (
            "recurrent_autoencoder",
            {"cell": "rnn"},
            "reconstruction",
            {},
            "cell must be one of lstm, gru, got 'rnn'",
        ),
        (
            "recurrent_autoencoder",
            {"activation": "elu"},
            "reconstruction",
            {},
            "activation must be one of tanh, relu, linear",
        ),
        ("recurrent_autoencoder", {}, "reconstruction", {"noise": -1}, "noise of at least 0"),
        ("conv_autoencoder", {}, "reconstruction", {}, "too small for pooling"),
        (
            "conv_autoencoder",
            {"stages": [[2, 2, 1]], "deconvs": [[2, 2]]},
            "reconstruction",
            {},
            (
                r"the decoder generates \(8, 4, 4\) \(T, H, W\) from a map of \(4, 2, 2\), the"
                r" clips are \(8, 3, 4\)"
            ),
        ),
        (
            "percept_encoder",
            {"trunk": "i3d"},
            "percept_composite",
            {"observed": 5},
            "trunk must be an image network",
        ),
    ],
)
def test_impossible_systems(model, params, objective, options, message):
    params = {
        **params,
        **({"units": 4} if model.startswith(("lstm", "recurrent", "percept")) else {}),
    }
    with pytest.raises(ValueError, match=message) as error:
        build(
            {"model": model, "params": params, "objective": objective, "objective_params": options},
            SHAPE,
        )
    assert "\n" not in str(error.value)


# --- Pictures of what was learnt. ---


def test_weights_as_pictures():
    objective = composite()
    pictures = weight_pictures(objective)
    assert list(pictures) == [f"input weights, {gate}" for gate in GATES] + [
        "output weights, reconstruction",
        "output weights, prediction",
    ]
    cell = objective.model.cells[0]
    readout = objective.decoders["prediction"].readout
    for place, gate in enumerate(GATES):
        rows = cell.weight_input.detach()[6 * place : 6 * (place + 1)].numpy().reshape(6, 1, 3, 4)
        order = np.argsort(-np.linalg.norm(rows.reshape(6, -1), axis=1))
        np.testing.assert_array_equal(pictures[f"input weights, {gate}"], rows[order])
    strongest = readout.weight.detach().square().sum(0).argmax()
    np.testing.assert_array_equal(
        pictures["output weights, prediction"][0],
        readout.weight.detach()[:, strongest].reshape(1, 3, 4).numpy(),
    )


def test_mosaic_by_hand():
    weights = np.zeros((3, 1, 2, 2))
    weights[0], weights[1, 0, 0, 0] = 1.0, -1.0
    picture = mosaic(weights, columns=2)
    assert picture.shape == (5, 5, 3)
    assert (
        (picture[:2, :2] == 1).all() and (picture[0, 3] == 0).all() and (picture[1, 3] == 0.5).all()
    )
    assert (
        (picture[3:, :2] == 0.5).all() and (picture[3:, 3:] == 1).all() and (picture[2] == 1).all()
    ), "white where no tile is"


def test_rollouts_and_their_energy():
    objectives = {"trained": composite(), "untrained": lively(copy.deepcopy(composite()))}
    batch = batch_of(4)
    rollouts = roll_out(objectives, batch)
    generated = objectives["trained"].rollout(batch, 100).detach().numpy()
    energy = ((generated[:, :, 1:] - generated[:, :, :-1]) ** 2).sum((1, 3, 4)).mean(0)
    np.testing.assert_allclose(rollouts.energies["trained"], energy, rtol=1e-4, atol=1e-9)
    assert rollouts.strips["trained"].shape == (3, 12, 3, 4) and rollouts.last == 4
    np.testing.assert_allclose(
        rollouts.strips["trained"][:, 0] / 255, batch["clip"][:3, 0, 4], atol=0.5 / 255 + 1e-6
    )
    np.testing.assert_allclose(
        rollouts.strips["trained"][:, 2] / 255, generated[:3, 0, 9], atol=0.5 / 255 + 1e-6
    )
    clips = batch["clip"].numpy()
    assert rollouts.data_energy == pytest.approx(
        ((clips[:, :, 1:] - clips[:, :, :-1]) ** 2).sum((1, 3, 4)).mean(), rel=1e-4
    )
    assert torch.equal(
        frame_energy(batch["clip"][:, :, :2]),
        F.mse_loss(batch["clip"][:, :, 0], batch["clip"][:, :, 1], reduction="none").sum((1, 2, 3))[
            :, None
        ],
    )


@pytest.mark.parametrize("parts", [("reconstruction",), ("reconstruction", "prediction")])
def test_the_figure_has_a_panel_for_each_kind_of_weights(parts):
    objective = composite(parts=parts)
    rollouts: Rollouts | None = (
        roll_out({"trained": objective, "untrained": objective}, batch_of(4))
        if len(parts) > 1
        else None
    )
    figure = features_figure(weight_pictures(objective), rollouts, "a run")
    titles = [axes.get_title(loc="left") for part in figure.subfigs for axes in part.axes]
    assert [title for title in titles if "weights" in title] == list(weight_pictures(objective))
    assert len(figure.subfigs) == len(parts)
