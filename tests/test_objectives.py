"""Objectives: losses and scores against numpy, what stages train, what decoders may see."""

import itertools

import h5py
import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from torch import nn

from vidrep import models
from vidrep.generation import write_generated
from vidrep.objectives import OBJECTIVES
from vidrep.objectives.base import DataShape, Objective, embedding_sizes
from vidrep.objectives.build import build
from vidrep.objectives.classification import Classification
from vidrep.objectives.frames_then_sequence import FramesThenSequence
from vidrep.objectives.lstm_composite import LSTMComposite
from vidrep.systems import system

CLASSES = 3
SHAPE = DataShape((1, 4, 3, 3), CLASSES, multi_label=True)
SINGLE = DataShape((1, 4, 3, 3), CLASSES, multi_label=False)


class Frames(nn.Module):
    """Each frame as a vector: an embedding (B, T, 9) with one value per step."""

    inputs = ("clip",)
    layers = ("flat",)

    def __init__(self):
        super().__init__()
        self.flat = nn.Flatten(2)

    def forward(self, clip):
        return self.flat(clip.transpose(1, 2))


class Halves(nn.Module):
    """Two streams of other widths: the first three frames, the last one."""

    inputs = ("clip",)
    layers = ()

    def forward(self, clip):
        frames = clip.transpose(1, 2).flatten(2)
        return {"early": frames[:, :3], "late": frames[:, 3:, :8]}


def batch_of(count: int, shape: DataShape = SHAPE, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(count, shape.classes, generator=generator) < 0.5).float()
    if not shape.multi_label:
        labels = nn.functional.one_hot(
            torch.randint(shape.classes, (count,), generator=generator), shape.classes
        ).float()
    _, frames, height, width = shape.clip
    return {
        "clip": torch.rand(count, *shape.clip, generator=generator),
        "flow": torch.randn(count, 2, frames - 1, height, width, generator=generator),
        "labels": labels,
    }


def weights(linear: nn.Linear) -> tuple[np.ndarray, np.ndarray]:
    return linear.weight.detach().double().numpy(), linear.bias.detach().double().numpy()


def binary_entropy(logit: float, target: float) -> float:
    probability = 1 / (1 + np.exp(-logit))
    return -(target * np.log(probability) + (1 - target) * np.log(1 - probability))


def spread_heads(objective: Objective, scale: float = 3.0) -> Objective:
    """Larger weights around a clip of mean grey, so that predictions differ between clips."""
    with torch.no_grad():
        for head in objective.heads.values():
            head.weight.mul_(scale)
            head.bias.copy_(-head.weight.sum(1) / 2)
    return objective


def test_the_registry_resolves():
    definition = {"model": "pixels", "params": {}, "objective_params": {}}
    for name in ("classification", "none"):
        assert isinstance(build({**definition, "objective": name}, SHAPE), Objective)
    with pytest.raises(
        ValueError, match=f"unknown objective 'colour': give one of {', '.join(sorted(OBJECTIVES))}"
    ):
        build({**definition, "objective": "colour"}, SHAPE)


# --- Classification. ---


def test_multi_label_loss_against_a_loop():
    torch.manual_seed(0)
    objective = Classification(models.create("pixels", clip_shape=SHAPE.clip), SHAPE)
    batch = batch_of(5)
    weight, bias = weights(objective.heads["all"])
    assert weight.shape == (2 * CLASSES, 36)
    total = 0.0
    for clip, labels in zip(batch["clip"].double().numpy(), batch["labels"].numpy(), strict=True):
        logits = weight @ clip.ravel() + bias
        for index in range(CLASSES):
            off = logits[2 * index]
            on = logits[2 * index + 1]
            total += (
                binary_entropy(off, 1 - labels[index]) + binary_entropy(on, labels[index])
            ) / 2
    assert objective.loss(batch).item() == pytest.approx(total / 5, rel=1e-5)
    assert objective.score(batch)["loss"].mean().item() == pytest.approx(total / 5, rel=1e-5)


def test_single_label_loss_against_a_loop():
    torch.manual_seed(0)
    objective = Classification(models.create("pixels", clip_shape=SINGLE.clip), SINGLE)
    batch = batch_of(5, SINGLE)
    weight, bias = weights(objective.heads["all"])
    assert weight.shape == (CLASSES, 36)
    entropies = []
    right = []
    for clip, labels in zip(batch["clip"].double().numpy(), batch["labels"].numpy(), strict=True):
        logits = weight @ clip.ravel() + bias
        entropies += [binary_entropy(logits[index], labels[index]) for index in range(CLASSES)]
        right.append(float(labels[logits.argmax()]))
    assert objective.loss(batch).item() == pytest.approx(np.mean(entropies), rel=1e-5)
    assert objective.score(batch)["exact_set"].tolist() == right


def test_exact_set_wants_every_class_right():
    objective = Classification(models.create("pixels", clip_shape=SHAPE.clip), SHAPE)
    # What the head says about classes 0 and 2 present, 1 absent, as (off, on) pairs:
    with torch.no_grad():
        objective.heads["all"].weight.zero_()
        objective.heads["all"].bias.copy_(torch.tensor([-1.0, 2.0, 0.5, 0.4, -3.0, -2.9]))
    labels = torch.tensor([[1, 0, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0], [0, 1, 0]]).float()
    batch = {"clip": torch.rand(5, *SHAPE.clip), "labels": labels}
    assert objective.score(batch)["exact_set"].tolist() == [1, 0, 0, 0, 0]


def test_a_clip_with_the_same_digit_twice_has_one_positive():
    objective = Classification(models.create("pixels", clip_shape=SHAPE.clip), SHAPE)
    with torch.no_grad():
        objective.heads["all"].weight.zero_()
        objective.heads["all"].bias.copy_(torch.tensor([1.0, -1.0, -1.0, 1.0, 1.0, -1.0]))
    batch = {"clip": torch.rand(2, *SHAPE.clip), "labels": torch.tensor([[0.0, 1, 0], [1, 1, 0]])}
    scores = objective.score(batch)
    assert scores["exact_set"].tolist() == [1, 0]
    # All six logits are right by 1; for the second clip both outputs of class 0 are wrong by 1.
    good = binary_entropy(1, 1)
    bad = binary_entropy(-1, 1)
    assert scores["loss"].tolist() == pytest.approx([3 * good, 2 * good + bad], rel=1e-6)


@pytest.mark.parametrize("readout", ["mean", "last"])
def test_steps_share_the_loss_and_are_read_out_as_asked(readout):
    torch.manual_seed(0)
    objective = spread_heads(Classification(Frames(), SHAPE, readout=readout), 8.0)
    batch = batch_of(200)
    weight, bias = weights(objective.heads["all"])
    losses = []
    exact = []
    for clip, labels in zip(batch["clip"].double().numpy(), batch["labels"].numpy(), strict=True):
        logits = np.stack([weight @ clip[0, t].ravel() + bias for t in range(4)])
        for step in logits:
            pairs = step.reshape(CLASSES, 2)
            losses.append(
                sum(
                    (binary_entropy(o, 1 - y) + binary_entropy(p, y)) / 2
                    for (o, p), y in zip(pairs, labels, strict=True)
                )
            )
        probabilities = 1 / (1 + np.exp(-logits))
        read = (probabilities.mean(0) if readout == "mean" else probabilities[-1]).reshape(
            CLASSES, 2
        )
        exact.append(float(((read[:, 1] > read[:, 0]) == (labels > 0)).all()))
    assert objective.loss(batch).item() == pytest.approx(np.mean(losses), rel=1e-5)
    assert objective.score(batch)["exact_set"].tolist() == exact
    assert 0 < np.mean(exact) < 1


@pytest.mark.parametrize("loss_at", ["all", "last"])
def test_the_loss_is_taken_at_all_steps_or_at_the_last(loss_at):
    torch.manual_seed(0)
    objective = Classification(Frames(), SHAPE, readout="last", loss_at=loss_at)
    batch = batch_of(6)
    logits = objective.heads["all"](batch["clip"].transpose(1, 2).flatten(2))  # (B, T, outputs)
    steps = range(4) if loss_at == "all" else [3]
    losses = torch.stack(
        [objective.cross_entropy(logits[:, [t]], batch["labels"])[:, 0] for t in steps]
    ).mean(0)
    torch.testing.assert_close(objective.loss(batch), losses.mean())
    torch.testing.assert_close(objective.score(batch)["loss"], losses)
    objective.heads["all"].requires_grad_(False)
    clip = batch["clip"].requires_grad_()
    objective.loss(batch).backward()
    assert clip.grad[:, :, 3].abs().sum() > 0
    assert (clip.grad[:, :, :3].abs().sum() > 0) == (loss_at == "all")


def test_the_end_to_end_system_trains_cnn_and_lstm_together():
    torch.manual_seed(0)
    small = {"params": {"convs": [[3, 3, 2]], "units": 4, "num_layers": 1}}
    shape = DataShape((1, 5, 8, 8), CLASSES, multi_label=True)
    objective = build(system({"name": "cnn_lstm_end_to_end_narrow", **small}).definition(), shape)
    batch = batch_of(6, shape)
    assert objective.stages == ("train",)
    objective.start_stage("train")
    objective.train().loss(batch).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in objective.model.cnn.parameters())
    last = (
        objective.eval()
        .heads["all"](objective.model(batch["clip"]))[:, -1]
        .unflatten(1, (CLASSES, 2))
    )
    expected = ((last[..., 1] > last[..., 0]) == (batch["labels"] > 0)).all(1)
    assert torch.equal(objective.score(batch)["exact_set"], expected.float())


def test_readouts_differ_and_others_are_refused():
    torch.manual_seed(0)
    first = spread_heads(Classification(Frames(), SHAPE), 8.0)
    batch = batch_of(200)
    last = Classification(Frames(), SHAPE, readout="last")
    last.load_state_dict(first.state_dict())
    assert not torch.equal(first.score(batch)["exact_set"], last.score(batch)["exact_set"])
    with pytest.raises(
        ValueError, match="objective classification: readout is 'max'; give one of mean, last"
    ):
        Classification(Frames(), SHAPE, readout="max")
    with pytest.raises(
        ValueError, match="objective classification: loss_at is 'first'; give one of all, last"
    ):
        Classification(Frames(), SHAPE, loss_at="first")


def test_sizes_are_found_without_leaving_training_mode():
    objective = Objective(
        models.create("c3d", clip_shape=(1, 8, 16, 16), stem=[2, 3, 2], stages=[[3, 1, 2]]),
        DataShape((1, 8, 16, 16), 2, True),
    )
    statistics = objective.model.conv1[2].running_mean.clone()
    for mode in (True, False):
        objective.train(mode)
        assert embedding_sizes(objective) == {"": 3 * 2 * 4 * 4}
        assert objective.model.training == mode
    assert torch.equal(objective.model.conv1[2].running_mean, statistics)


def test_the_objective_of_controls_trains_and_scores_nothing():
    objective = Objective(models.create("pixels", clip_shape=SHAPE.clip), SHAPE)
    assert objective.score(batch_of(2)) == {}
    assert objective.stages == ()
    with pytest.raises(NotImplementedError, match="objective Objective is not trained"):
        objective.loss(batch_of(2))


# --- Several streams. ---


def stream_probabilities(objective: Classification, batch: dict) -> dict[str, np.ndarray]:
    """(B, outputs) of each stream of ``Halves`` by plain numpy."""
    frames = batch["clip"].double().numpy()[:, 0].reshape(len(batch["clip"]), 4, 9)
    inputs = {"early": frames[:, :3], "late": frames[:, 3:, :8]}
    result = {}
    for name, steps in inputs.items():
        weight, bias = weights(objective.heads[name])
        result[name] = (1 / (1 + np.exp(-(steps @ weight.T + bias)))).mean(1)
    return result


@pytest.mark.parametrize("shape", [SHAPE, SINGLE], ids=["multi-label", "single-label"])
def test_streams_are_fused_by_averaging_probabilities(shape):
    torch.manual_seed(1)
    objective = spread_heads(Classification(Halves(), shape), 6.0)
    batch = batch_of(150, shape)
    by_stream = stream_probabilities(objective, batch)

    def exact(scores: np.ndarray) -> list[float]:
        single = np.eye(CLASSES, dtype=bool)[scores.argmax(1) % CLASSES]
        predicted = scores[:, 1::2] > scores[:, 0::2] if shape.multi_label else single
        return (predicted == (batch["labels"].numpy() > 0)).all(1).astype(float).tolist()

    scores = objective.score(batch)
    assert scores["exact_set"].tolist() == exact((by_stream["early"] + by_stream["late"]) / 2)
    assert scores["exact_set_early"].tolist() == exact(by_stream["early"])
    assert scores["exact_set_late"].tolist() == exact(by_stream["late"])
    assert (
        len(
            {
                tuple(scores[key].tolist())
                for key in ("exact_set", "exact_set_early", "exact_set_late")
            }
        )
        == 3
    )


def test_the_loss_adds_up_over_streams_that_learn_apart():
    torch.manual_seed(1)
    objective = Classification(Halves(), SHAPE)
    batch = batch_of(6)
    parts = [
        objective.cross_entropy(logits, batch["labels"]).mean().item()
        for logits in objective.logits(batch).values()
    ]
    assert len(parts) == 2
    assert objective.loss(batch).item() == pytest.approx(sum(parts), rel=1e-6)
    assert objective.score(batch)["loss"].mean().item() == pytest.approx(sum(parts), rel=1e-6)
    before = torch.autograd.grad(objective.loss(batch), objective.heads["early"].weight)[0]
    with torch.no_grad():
        objective.heads["late"].weight.mul_(-2)
    assert torch.equal(
        before, torch.autograd.grad(objective.loss(batch), objective.heads["early"].weight)[0]
    )


def test_fusion_svm_is_that_of_scikit_learn_and_survives_a_file():
    torch.manual_seed(2)
    held_out = batch_of(80, seed=1)
    test = batch_of(60, seed=2)
    # one class that scores can tell
    held_out["labels"][:, 0] = (held_out["clip"][:, 0, 3, 0, 0] > 0.4).float()
    held_out["labels"][:, 2] = 1  # in every clip
    objective = spread_heads(Classification(Halves(), SHAPE), 4.0)
    objective.finish(
        [
            {name: value[part] for name, value in held_out.items()}
            for part in (slice(0, 50), slice(50, 80))
        ]
    )

    def features(batch: dict) -> np.ndarray:
        parts = stream_probabilities(objective, batch).values()
        return np.concatenate(
            [part / np.sqrt((part**2).sum(1, keepdims=True)) for part in parts], 1
        )

    expected = np.ones((60, CLASSES), bool)
    for index in (0, 1):
        svm = LinearSVC(C=1.0, dual=False).fit(
            features(held_out), held_out["labels"][:, index].numpy() > 0
        )
        expected[:, index] = svm.predict(features(test))
    predicted = objective.fused(objective.probabilities(objective.logits(test)))
    assert np.array_equal(predicted.numpy(), expected)
    assert 0 < expected[:, 0].mean() < 1
    test["labels"] = torch.from_numpy(expected).float()
    test["labels"][:7, 1] = 1 - test["labels"][:7, 1]
    assert objective.score(test)["exact_set_svm"].tolist() == [0] * 7 + [1] * 53

    again = Classification(Halves(), SHAPE)
    again.load_state_dict(objective.state_dict())
    assert torch.equal(again.fused(again.probabilities(again.logits(test))), predicted)


def test_a_class_that_never_occurs_is_never_predicted():
    objective = Classification(Halves(), SHAPE)
    batch = batch_of(20)
    batch["labels"][:, 1] = 0
    objective.finish([batch])
    assert not objective.fused(objective.probabilities(objective.logits(batch)))[:, 1].any()


# --- CNN first, then LSTM. ---

SMALL_CLIPS = DataShape((1, 4, 8, 8), CLASSES, multi_label=True)


def cnn_lstm() -> FramesThenSequence:
    torch.manual_seed(0)
    model = models.create(
        "cnn_lstm", clip_shape=SMALL_CLIPS.clip, convs=[[3, 3, 2], [4, 3, 2]], units=5, num_layers=2
    )
    return FramesThenSequence(model, SMALL_CLIPS)


def changed_by_training(objective: FramesThenSequence, stage: str) -> set[str]:
    """Names of the top-level parts whose tensors a few steps in ``stage`` change."""
    objective.start_stage(stage)
    frozen = {
        name for name, parameter in objective.named_parameters() if not parameter.requires_grad
    }
    assert all(name.startswith(("model.cnn", "frame_head")) for name in frozen)
    assert bool(frozen) == (stage == "sequence")
    optimiser = torch.optim.AdamW(
        [p for p in objective.parameters() if p.requires_grad], lr=0.05, weight_decay=0.1
    )
    before = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
    for seed in range(3):
        objective.train()
        optimiser.zero_grad()
        objective.loss(batch_of(6, SMALL_CLIPS, seed)).backward()
        optimiser.step()
    changed = {
        name
        for name, tensor in objective.state_dict().items()
        if not torch.equal(tensor, before[name])
    }
    return {".".join(name.split(".")[: 2 if name.startswith("model") else 1]) for name in changed}


def test_each_stage_trains_its_own_part():
    objective = cnn_lstm()
    assert changed_by_training(objective, "frames") == {"model.cnn", "frame_head"}
    assert changed_by_training(objective, "sequence") == {
        "model.lstm",
        "heads",
    }, "batch-norm statistics stay, too"


def test_stages_score_with_their_own_head():
    objective = cnn_lstm().eval()
    batch = batch_of(7, SMALL_CLIPS)
    assert objective.stage == "sequence", "what a loaded run is scored with"
    frames = objective.model.cnn(batch["clip"])
    objective.start_stage("frames")
    assert torch.equal(objective.logits(batch)[""], objective.frame_head(frames))
    losses = objective.cross_entropy(objective.frame_head(frames), batch["labels"])
    assert losses.shape == (7, 4), "every frame carries its clip's labels"
    assert objective.loss(batch).item() == pytest.approx(losses.mean().item())
    objective.start_stage("sequence")
    assert torch.equal(
        objective.logits(batch)[""], objective.heads["all"](objective.model.lstm(frames))
    )


def test_clips_are_scored_at_the_last_step():
    objective = spread_heads(cnn_lstm().eval(), 20.0)
    batch = batch_of(40, SMALL_CLIPS)
    last = objective.heads["all"](objective.model(batch["clip"]))[:, -1].unflatten(1, (CLASSES, 2))
    expected = ((last[..., 1] > last[..., 0]) == (batch["labels"] > 0)).all(1)
    assert torch.equal(objective.score(batch)["exact_set"], expected.float())


def test_models_without_frames_and_sequence_are_refused():
    with pytest.raises(
        ValueError,
        match=r"objective frames_then_sequence: model Pixels has no frame_features, sequence, cnn",
    ) as error:
        FramesThenSequence(models.create("pixels", clip_shape=SMALL_CLIPS.clip), SMALL_CLIPS)
    assert "\n" not in str(error.value)


# --- LSTM autoencoder, predictor, composite model. ---

COMPOSITE = DataShape((1, 8, 3, 4), CLASSES, multi_label=True)
OBSERVED = 5
BOTH = ("reconstruction", "prediction")
every_condition = pytest.mark.parametrize(
    "conditional", [(), ("prediction",), BOTH], ids=["free", "future", "both"]
)


def composite(num_layers: int = 1, shape: DataShape = COMPOSITE, **options) -> LSTMComposite:
    torch.manual_seed(0)
    model_shape = LSTMComposite.model_clip_shape(shape.clip, OBSERVED)
    model = models.create("lstm_encoder", clip_shape=model_shape, units=6, num_layers=num_layers)
    objective = LSTMComposite(model, shape, OBSERVED, **options)
    with torch.no_grad():  # the published initialisation is so small that everything looks alike
        for parameter in objective.parameters():
            parameter.normal_(std=0.7)
    return objective.eval()


def with_other_future(batch: dict, first: int) -> dict:
    """The batch with other frames from ``first`` on."""
    clip = batch["clip"].clone()
    clip[:, :, first:] = torch.rand(
        clip[:, :, first:].shape, generator=torch.Generator().manual_seed(9)
    )
    return {**batch, "clip": clip}


def test_the_encoder_sees_the_observed_frames_only():
    objective = composite()
    batch = batch_of(3, COMPOSITE)
    assert objective.observed + objective.future == 8
    assert torch.equal(objective.embed(batch), objective.embed(with_other_future(batch, OBSERVED)))
    assert not torch.equal(
        objective.embed(batch), objective.embed(with_other_future(batch, OBSERVED - 1))
    )


def test_flow_after_the_observed_frames_is_hidden_too():
    class Flow(nn.Module):
        inputs = ("flow", "clip")
        layers = ()

        def forward(self, flow, clip):
            return torch.cat([flow.flatten(1), clip.flatten(1)], 1)

    objective = LSTMComposite(Flow(), COMPOSITE, OBSERVED, units=3)
    batch = batch_of(2, COMPOSITE)
    expected = torch.cat(
        [batch["flow"][:, :, :4].flatten(1), batch["clip"][:, :, :5].flatten(1)], 1
    )
    assert torch.equal(objective.embed(batch), expected)


def test_targets_are_the_past_backwards_and_the_future_forwards():
    batch = batch_of(2, COMPOSITE)
    targets = composite().targets(composite().frame_vectors(batch))
    frames = [batch["clip"][:, 0, t].flatten(1) for t in range(8)]
    assert torch.equal(
        targets["reconstruction"], torch.stack([frames[t] for t in (4, 3, 2, 1, 0)], 1)
    )
    assert torch.equal(targets["prediction"], torch.stack(frames[5:], 1))


@every_condition
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("teacher", [True, False])
def test_decoders_against_single_steps(conditional, num_layers, teacher):
    """Decoders start from the encoder's state without input; then what their condition allows."""
    objective = composite(num_layers, conditional=conditional)
    batch = batch_of(3, COMPOSITE)
    truth = {"reconstruction": [4, 3, 2, 1, 0], "prediction": [5, 6, 7]}
    for name, (logits, _) in objective.decode(batch, teacher=teacher).items():
        decoder = objective.decoders[name]
        states = []
        sequence = batch["clip"][:, 0, :OBSERVED].flatten(2)
        for cell in objective.model.cells:
            sequence, state = cell.unroll(sequence)
            states.append(state)
        previous = None
        for step, frame in enumerate(truth[name]):
            value = previous
            for depth, layer in enumerate(decoder.layers):
                states[depth] = layer.step(value, states[depth])
                value = states[depth][0]
            expected = decoder.readout(value)
            # sums in another order
            torch.testing.assert_close(logits[:, step], expected, rtol=1e-4, atol=1e-5)
            if name in conditional:
                previous = batch["clip"][:, 0, frame].flatten(1) if teacher else expected.sigmoid()


def test_conditional_prediction_is_taught_in_training_and_on_its_own_when_scored():
    objective = composite(conditional=BOTH)
    batch = batch_of(3, COMPOSITE)
    other = with_other_future(batch, 6)  # another second and third future frame
    taught, taught_other = (
        objective.decode(b, teacher=True)["prediction"][0] for b in (batch, other)
    )
    assert torch.equal(taught[:, :2], taught_other[:, :2])
    assert not torch.allclose(taught[:, 2], taught_other[:, 2], atol=1e-3)
    own, own_other = (objective.decode(b, teacher=False)["prediction"][0] for b in (batch, other))
    assert torch.equal(own, own_other), "later frames must not leak into what is generated"
    assert torch.equal(
        objective.generate(batch)["prediction"], objective.generate(other)["prediction"]
    )
    assert not torch.allclose(taught[:, 1:], own[:, 1:], atol=1e-3)
    nats = [objective.score(b)["prediction_nats_per_frame"] for b in (batch, other)]
    assert not torch.equal(*nats), "the truth is what is scored against"


@every_condition
def test_loss_and_scores_against_numpy(conditional):
    objective = composite(conditional=conditional)
    batch = batch_of(3, COMPOSITE)
    frames = batch["clip"].double().numpy()[:, 0].reshape(3, 8, 12)
    truth = {"reconstruction": frames[:, [4, 3, 2, 1, 0]], "prediction": frames[:, 5:]}
    for teacher in (True, False):
        total = np.zeros(3)
        scores = objective.score(batch)
        for name, (logits, _) in objective.decode(batch, teacher=teacher).items():
            generated = 1 / (1 + np.exp(-logits.detach().double().numpy()))
            # (B, steps, pixels)
            entropy = -(truth[name] * np.log(generated) + (1 - truth[name]) * np.log(1 - generated))
            total += entropy.sum(2).mean(1)
            if not teacher:
                np.testing.assert_allclose(
                    scores[f"{name}_nats_per_frame"].detach(), entropy.sum(2).mean(1), rtol=1e-4
                )
                squares = ((generated - truth[name]) ** 2).sum(2).mean(1)
                np.testing.assert_allclose(
                    scores[f"{name}_squared_error_per_frame"].detach(), squares, rtol=1e-4
                )
        if teacher:
            assert objective.loss(batch).item() == pytest.approx(total.mean(), rel=1e-4)
        else:
            np.testing.assert_allclose(scores["loss"].detach(), total, rtol=1e-4)


def test_constant_half_costs_ln_2_a_pixel():
    objective = composite()
    with torch.no_grad():
        for decoder in objective.decoders.values():
            decoder.readout.weight.zero_()
            decoder.readout.bias.zero_()
    scores = objective.score(batch_of(2, COMPOSITE))
    assert scores["prediction_nats_per_frame"].tolist() == pytest.approx([12 * np.log(2)] * 2)
    assert scores["loss"].tolist() == pytest.approx([24 * np.log(2)] * 2)


@pytest.mark.parametrize(
    "parts", [("reconstruction",), ("prediction",), ("prediction", "reconstruction")]
)
def test_parts_are_those_asked_for(parts):
    objective = composite(parts=parts)
    batch = batch_of(2, COMPOSITE)
    assert set(objective.decoders) == set(parts) == set(objective.generate(batch))
    scores = objective.score(batch)
    assert set(scores) == {"loss"} | {
        f"{part}_{unit}_per_frame" for part in parts for unit in ("nats", "squared_error")
    }
    assert torch.allclose(scores["loss"], sum(scores[f"{part}_nats_per_frame"] for part in parts))


@every_condition
def test_without_a_state_all_clips_look_the_same(conditional, monkeypatch):
    objective = composite(conditional=conditional)
    batch = batch_of(4, COMPOSITE)
    seen = objective.generate(batch)
    monkeypatch.setattr(objective, "embed", lambda batch: torch.zeros(4, 12))
    for name, frames in objective.generate(batch).items():
        torch.testing.assert_close(frames, frames[:1].expand_as(frames))
        assert not torch.allclose(seen[name][0], seen[name][1], atol=1e-3), (
            "with their states they differ"
        )


@pytest.mark.parametrize("channels", [1, 3])
def test_generated_frames_lie_in_the_order_of_time(channels):
    shape = DataShape((channels, 8, 3, 4), CLASSES, multi_label=True)
    objective = composite(shape=shape)
    batch = batch_of(2, shape)
    generated = objective.generate(batch)
    assert generated["reconstruction"].shape == (2, channels, 5, 3, 4)
    assert generated["prediction"].shape == (2, channels, 3, 3, 4)
    decoded = {
        name: logits.sigmoid()
        for name, (logits, _) in objective.decode(batch, teacher=False).items()
    }
    for c, y, x in itertools.product(range(channels), range(3), range(4)):
        pixel = (c * 3 + y) * 4 + x
        assert torch.equal(
            generated["reconstruction"][:, c, :, y, x],
            decoded["reconstruction"][:, [4, 3, 2, 1, 0], pixel],
        )
        assert torch.equal(
            generated["prediction"][:, c, :, y, x], decoded["prediction"][:, :, pixel]
        )


def test_an_overfitted_model_generates_the_clip_the_right_way_round():
    torch.manual_seed(0)
    model = models.create("lstm_encoder", clip_shape=(1, OBSERVED, 3, 4), units=24)
    objective = LSTMComposite(model, COMPOSITE, OBSERVED)
    clip = (
        torch.rand(1, *COMPOSITE.clip, generator=torch.Generator().manual_seed(3)) > 0.5
    ).float()
    optimiser = torch.optim.Adam(objective.parameters(), lr=0.03)
    for _ in range(150):
        optimiser.zero_grad()
        objective.loss({"clip": clip}).backward()
        optimiser.step()
    generated = objective.eval().generate({"clip": clip})
    assert (generated["reconstruction"] - clip[:, :, :OBSERVED]).abs().max() < 0.1
    assert (generated["prediction"] - clip[:, :, OBSERVED:]).abs().max() < 0.1


def test_any_other_model_gets_a_bridge_to_the_state():
    shape = DataShape((1, 8, 8, 8), CLASSES, multi_label=True)
    definition = {
        "model": "c3d",
        "params": {"stem": [2, 3, [1, 2, 2]], "stages": [[3, 1, 2]]},
        "objective": "lstm_composite",
    }
    objective = build(
        {**definition, "objective_params": {"observed": 5, "units": 7, "num_layers": 2}}, shape
    )
    assert objective.bridge.weight.shape == (
        2 * 2 * 7,
        3 * 2 * 2 * 2,
    ), "the model sees five frames, pooled to two"
    objective.loss(batch_of(3, shape)).backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert isinstance(composite(2).bridge, nn.Identity), (
        "the LSTM encoder hands its state over as it is"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observed": 8}, "observed is 8 of 8 frames; it must leave at least one to predict"),
        ({"observed": 0}, "observed is 0 of 8 frames"),
        (
            {"observed": 5, "parts": ["future"]},
            "unknown part 'future'; give some of reconstruction, prediction",
        ),
        ({"observed": 5, "conditional": ["past"]}, "unknown part 'past'"),
        (
            {"observed": 5, "depth": 2},
            "unknown parameter 'depth'; it takes observed, parts, conditional, output, feeding,",
        ),
    ],
)
def test_impossible_composites(options, message):
    definition = {
        "model": "lstm_encoder",
        "params": {"units": 4},
        "objective": "lstm_composite",
        "objective_params": options,
    }
    with pytest.raises(ValueError) as error:
        build(definition, COMPOSITE)
    assert message in str(error.value)
    assert "lstm_composite" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "given"), [(Frames(), r"\(1, 5, 9\)"), (Halves(), "early, late")]
)
def test_models_with_several_embeddings_a_clip_are_refused(model, given):
    shape = DataShape((1, 8, 3, 3), CLASSES, multi_label=True)
    with pytest.raises(
        ValueError,
        match=(
            f"objective lstm_composite: needs one embedding .* a clip, model {type(model).__name__}"
            f" gives {given}"
        ),
    ):
        LSTMComposite(model, shape, OBSERVED)


# --- Files of generated frames. ---


@pytest.mark.parametrize("channels", [1, 3])
def test_generated_frames_lie_beside_the_truth(tmp_path, make_split, cpu, channels):
    split = make_split(3, channels=channels)
    objective = composite(shape=split.shape)
    write_generated(tmp_path / "generated.h5", objective, split, cpu)
    generated = objective.generate(split.batch(slice(None), cpu))
    with h5py.File(tmp_path / "generated.h5") as file:
        assert np.array_equal(
            np.concatenate([file["observed"], file["future"]], 1), split.clips.numpy()
        )
        assert list(file.attrs["ids"]) == split.ids
        for name, steps in (("reconstruction", 5), ("prediction", 3)):
            assert file[name].dtype == np.uint8
            assert file[name].shape == (
                3,
                steps,
                16,
                16,
                *([3] if channels == 3 else []),
            )
            expected = (
                generated[name].detach().numpy().transpose(0, 2, 3, 4, 1).reshape(file[name].shape)
            )
            assert np.abs(file[name][:] / 255.0 - expected).max() <= 0.5 / 255 + 1e-6


def test_objectives_that_generate_nothing_say_so(tmp_path, make_split, cpu):
    split = make_split(2)
    objective = Classification(models.create("pixels", clip_shape=split.shape.clip), split.shape)
    with pytest.raises(ValueError, match="objective Classification generates no frames"):
        write_generated(tmp_path / "generated.h5", objective, split, cpu)
    assert not list(tmp_path.iterdir())
