"""3-D ConvNet on windows, then LSTM: published table, windows one by one, two stages, voting."""

import numpy as np
import pytest
import torch
from torch import nn

from studies.fidelity.sequential_3dcnn_lstm import shuffled_inside, window_length
from vidrep import models
from vidrep.models.window_lstm import Standardise
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.objectives.windows_then_sequence import WindowsThenSequence, accumulated
from vidrep.systems import system

PUBLISHED = (1, 9, 34, 54)
SMALL = {"maps": [2, 6, 3], "kernels": [[5, 3, 3], [3, 3, 3], [3, 2, 2]], "units": 4}
SHAPE = DataShape((1, 14, 16, 16), 3, multi_label=True)  # six windows
SINGLE = DataShape((1, 14, 16, 16), 3, multi_label=False)
every_label = pytest.mark.parametrize("shape", [SHAPE, SINGLE], ids=["multi-label", "single-label"])


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(shape: DataShape = SHAPE, stage: str = "sequence", **params) -> WindowsThenSequence:
    """A small system whose outputs differ from clip to clip and from step to step."""
    torch.manual_seed(0)
    objective = WindowsThenSequence(
        models.create("window_lstm", clip_shape=shape.clip, **SMALL, **params), shape, hidden=5
    )
    with torch.no_grad():
        for head in (objective.heads["all"], objective.window_head[2]):
            head.weight.mul_(10)
    objective.start_stage("sequence")
    objective.prepare("sequence", [batch_of(20, shape, seed=5)])
    objective.start_stage(stage)
    return objective.eval()


def batch_of(clips: int, shape: DataShape = SHAPE, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(clips, shape.classes, generator=generator) < 0.5).float()
    if not shape.multi_label:
        labels = torch.eye(shape.classes)[
            torch.randint(shape.classes, (clips,), generator=generator)
        ]
    return {"clip": torch.rand(clips, *shape.clip, generator=generator), "labels": labels}


# --- The network. ---


def test_the_published_table():
    with torch.device("meta"):
        model = models.create("window_lstm", clip_shape=PUBLISHED)
        maps = torch.empty(1, *PUBLISHED)
        sizes = []
        for layer in model.cnn:
            for part in layer:
                maps = part(maps)
                sizes.append(tuple(maps.shape[1:]))
    # maps x T x H x W after C1, R1, S1, C2, R2, S2, C3
    assert sizes == [
        (7, 5, 28, 48),
        (7, 5, 28, 48),
        (7, 5, 14, 24),
        (35, 3, 10, 20),
        (35, 3, 10, 20),
        (35, 3, 5, 10),
        (5, 1, 3, 8),
    ]
    assert model.standardise.mean.shape == (120,)


def test_parameters_of_the_published_network():
    six_actions = DataShape(PUBLISHED, 6, multi_label=False)
    with torch.device("meta"):
        objective = WindowsThenSequence(
            models.create("window_lstm", clip_shape=PUBLISHED), six_actions
        )
    c1 = 7 * (7 * 7 * 5 + 1)
    s1 = 2 * 7
    c2 = 35 * (5 * 5 * 3 * 1 + 1)  # each of the 35 maps sees one map
    s2 = 2 * 35
    c3 = 5 * (3 * 3 * 3 * 35 + 1)
    n1 = 50 * (120 + 1)
    n2 = 6 * (50 + 1)
    assert [count(layer) for layer in objective.model.cnn] == [c1 + s1, c2 + s2, c3]
    assert (
        count(objective.model.cnn) + count(objective.window_head)
        == c1 + s1 + c2 + s2 + c3 + n1 + n2
        == 15_552
    )
    assert count(objective.model.lstm) == 4 * 50 * (120 + 50 + 1) + 3 * 50  # three peepholes a cell
    assert count(objective.heads) == 6 * (50 + 1)


def test_each_map_of_the_second_convolution_sees_one_map_of_the_first():
    torch.manual_seed(0)
    convolution = models.create("window_lstm", clip_shape=PUBLISHED).cnn.conv2[0]
    maps = torch.randn(1, 7, 5, 6, 6)
    other = maps.clone()
    other[:, 2] += 1
    changed = (convolution(maps) != convolution(other)).flatten(2).any(2)[0].nonzero().flatten()
    assert changed.tolist() == [10, 11, 12, 13, 14], "five kernels a map"


def test_rectification_and_subsampling():
    torch.manual_seed(0)
    _, rectify, subsample = models.create("window_lstm", clip_shape=PUBLISHED).cnn.conv1
    maps = torch.randn(2, 7, 3, 4, 7)
    assert torch.equal(rectify(maps), maps.abs())
    nn.init.normal_(subsample.gain)
    nn.init.normal_(subsample.bias)
    means = maps[..., :6].numpy().reshape(2, 7, 3, 2, 2, 3, 2).mean((4, 6))
    gain, bias = (
        value.detach().numpy()[:, None, None, None] for value in (subsample.gain, subsample.bias)
    )
    np.testing.assert_allclose(
        subsample(maps).detach().numpy(), means * gain + bias, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_one_pass_computes_every_window_as_if_cut_out(channels, batch_norm):
    torch.manual_seed(0)
    model = models.create(
        "window_lstm", clip_shape=(channels, 14, 16, 16), **SMALL, batch_norm=batch_norm
    )
    model.train()(torch.rand(4, channels, 14, 16, 16))  # batch-norm statistics that do something
    model.eval()
    clip = torch.rand(2, channels, 14, 16, 16)
    features = model.window_features(clip)
    assert features.shape == (2, 14 - 8, 3 * 1 * 1)
    for start in range(6):
        window = model.window_features(clip[:, :, start : start + 9])
        torch.testing.assert_close(window, features[:, start : start + 1], rtol=1e-5, atol=1e-6)


def test_the_published_network_on_a_longer_clip():
    torch.manual_seed(0)
    model = models.create("window_lstm", clip_shape=(1, 11, 34, 54)).eval()
    clip = torch.rand(1, 1, 11, 34, 54)
    windows = [model.window_features(clip[:, :, start : start + 9]) for start in range(3)]
    torch.testing.assert_close(
        model.window_features(clip), torch.cat(windows, 1), rtol=1e-4, atol=1e-5
    )
    assert model(clip).shape == (1, 3, 50)


def test_the_reference_entry_leaves_about_120_features():
    with torch.device("meta"):
        objective = build(
            system("window_lstm").definition(), DataShape((1, 16, 64, 64), 10, multi_label=True)
        )
        assert objective.model.window_features(torch.empty(2, 1, 16, 64, 64)).shape == (2, 8, 125)


def test_standardisation_against_numpy():
    torch.manual_seed(0)
    batches = [
        torch.randn(n, 4, 3) * torch.tensor([1.0, 20.0, 0.0]) + torch.tensor([0.0, 300.0, 7.0])
        for n in (5, 2)
    ]
    rows = torch.cat(batches).flatten(0, 1).double().numpy()
    standardise = Standardise(3)
    assert torch.equal(standardise(batches[0]), batches[0]), "nothing before it is fitted"
    standardise.fit(iter(batches))
    np.testing.assert_allclose(standardise.mean, rows.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(standardise.deviation, [*rows.std(0)[:2], 1.0], rtol=1e-6)
    assert standardise(batches[1])[..., 2].abs().max() == 0, "a constant feature carries nothing"


@pytest.mark.parametrize(
    ("shape", "params", "message"),
    [
        (
            (1, 8, 34, 54),
            {},
            r"a feature map of \(2, 5, 10\) \(T, H, W\) is smaller than the kernel \(3, 3, 3\)",
        ),
        (
            (1, 9, 6, 54),
            {},
            r"a feature map of \(9, 6, 54\) \(T, H, W\) is smaller than the kernel \(5, 7, 7\)",
        ),
        ((1, 9, 7, 54), {}, "too small for pooling"),
        ((1, 9, 34, 54), {"maps": [7, 36, 5]}, "a multiple of the first one's maps"),
        ((1, 9, 34, 54), {"subsampling": [2]}, "two subsamplings"),
    ],
)
def test_impossible_sizes(shape, params, message):
    with pytest.raises(ValueError, match=message) as error:
        models.create("window_lstm", clip_shape=shape, **params)
    assert "\n" not in str(error.value)


# --- The two stages. ---


@every_label
def test_every_window_and_every_step_carries_the_labels_of_its_clip(shape):
    objective = small(shape)
    batch = batch_of(5, shape)
    for stage in objective.stages:
        objective.start_stage(stage)
        losses = []
        for start in range(6):
            if stage == "windows":
                features = objective.model.window_features(batch["clip"][:, :, start : start + 9])[
                    :, 0
                ]
                logits = objective.window_head(features)
            else:
                logits = objective.heads["all"](objective.model(batch["clip"])[:, start])
            losses.append(objective.cross_entropy(logits[:, None], batch["labels"])[:, 0])
        losses = torch.stack(losses, 1)
        torch.testing.assert_close(objective.loss(batch), losses.mean(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            objective.score(batch)["loss"], losses.mean(1), rtol=1e-4, atol=1e-5
        )


def test_a_stage_trains_its_own_parts_only():
    objective = small(batch_norm=True)
    batch = batch_of(6)
    parts = {"windows": ("model.cnn", "window_head"), "sequence": ("model.lstm", "heads")}
    for stage in objective.stages:
        objective.start_stage(stage)
        objective.train()
        before = {name: value.clone() for name, value in objective.state_dict().items()}
        optimiser = torch.optim.SGD([p for p in objective.parameters() if p.requires_grad], lr=0.1)
        objective.loss(batch).backward()
        optimiser.step()
        changed = {
            name
            for name, value in objective.state_dict().items()
            if not torch.equal(value, before[name])
        }
        assert {name for name in changed if not name.startswith(parts[stage])} == set(), (
            "batch-norm statistics too"
        )
        assert all(any(name.startswith(part) for name in changed) for part in parts[stage])
        assert ("model.cnn.conv1.1.running_mean" in changed) == (stage == "windows")


def test_the_lstm_is_fed_standardised_features_of_the_training_clips():
    objective = small(batch_norm=True)
    fitted = {}
    batches = [batch_of(20, seed=5), batch_of(20, seed=6)]
    for stage in objective.stages:
        objective.start_stage(stage)
        objective.train()
        objective.prepare(stage, batches)
        fitted[stage] = objective.model.standardise.mean.clone()
    features = torch.cat([objective.eval().window_features(batch) for batch in batches])
    rows = objective.model.standardise(features).flatten(0, 1)
    torch.testing.assert_close(rows.mean(0), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(rows.var(0, unbiased=False), torch.ones(3), rtol=1e-4, atol=0)
    assert not torch.equal(fitted["windows"], fitted["sequence"]), "fitted for the sequence alone"
    assert {"model.standardise.mean", "model.standardise.deviation"} <= set(
        objective.state_dict()
    ), "resumed runs find them"


# --- Scores. ---


@every_label
def test_evidence_of_a_step(shape):
    objective = small(shape)
    logits = (
        torch.tensor([[[2.0, -1.0, 0.5, 0.5, -3.0, 4.0]]])
        if shape.multi_label
        else torch.tensor([[[-2.0, 0.0, 1.0]]])
    )
    evidence = objective.evidence(logits)
    assert evidence.dtype == torch.float64
    if shape.multi_label:  # (off, on) pairs
        assert evidence.tolist() == [[[-1.5, 0.0, 3.5]]]
        assert objective.decide(evidence).tolist() == [[[False, False, True]]]
    else:
        np.testing.assert_allclose(evidence[0, 0], -np.log1p(np.exp([2.0, 0.0, -1.0])), rtol=1e-12)
        assert objective.decide(evidence).tolist() == [[[False, False, True]]]


@every_label
def test_scores_against_a_loop(shape):
    objective = small(shape)
    batch = batch_of(30, shape)
    scores = {name: values.tolist() for name, values in objective.score(batch).items()}
    first = {f"exact_set_{kind}_first{k}" for kind in ("voting", "lstm") for k in (1, 2, 4)}
    assert {name for name in scores if "first" in name} == first
    features = objective.model.window_features(batch["clip"])
    logits = {
        "voting": objective.window_head(features).detach().double().numpy(),
        "lstm": objective.heads["all"](objective.model(batch["clip"])).detach().double().numpy(),
    }

    def right(evidence: np.ndarray, clip: int) -> float:
        truth = batch["labels"][clip].numpy() > 0
        answer = evidence > 0 if shape.multi_label else np.arange(3) == evidence.argmax()
        return float((answer == truth).all())

    for clip in range(30):
        steps = {}
        for kind, values in logits.items():
            value = values[clip]
            steps[kind] = (
                (value[:, 1::2] - value[:, 0::2]) / 2
                if shape.multi_label
                else -np.log1p(np.exp(-value))
            )
        assert scores["exact_set"][clip] == right(steps["lstm"].mean(0), clip)
        assert scores["exact_set_voting"][clip] == right(steps["voting"].mean(0), clip)
        assert scores["exact_set_lstm_last"][clip] == right(steps["lstm"][-1], clip)
        singles = [right(step, clip) for step in steps["voting"]]
        assert scores["exact_set_window"][clip] == pytest.approx(np.mean(singles))
        for kind in ("voting", "lstm"):
            for k in (1, 2, 4):
                assert scores[f"exact_set_{kind}_first{k}"][clip] == right(
                    steps[kind][:k].mean(0), clip
                )
    assert 0 < np.mean(scores["exact_set"]) < 1 and 0 < np.mean(scores["exact_set_voting"]) < 1, (
        "the test must see both answers"
    )


def test_the_first_windows_are_those_of_a_shorter_clip():
    objective = small()
    batch = batch_of(30)
    full = objective.score(batch)
    for k in (1, 2, 4):
        short = objective.score({**batch, "clip": batch["clip"][:, :, : k + 8]})
        assert torch.equal(short["exact_set"], full[f"exact_set_lstm_first{k}"])
        assert torch.equal(short["exact_set_voting"], full[f"exact_set_voting_first{k}"])


def test_the_window_stage_is_selected_by_its_votes():
    objective = small(stage="windows")
    batch = batch_of(10)
    scores = objective.score(batch)
    assert set(scores) == {"loss", "exact_set", "exact_set_voting", "exact_set_window"}
    assert torch.equal(scores["exact_set"], scores["exact_set_voting"])


@every_label
def test_shuffled_windows_leave_voting_unchanged_and_change_the_lstm(shape):
    objective = small(shape).double()
    batch = batch_of(40, shape)
    features = objective.model.window_features(batch["clip"].double())
    votes = objective.evidence(objective.window_head(features))
    steps = objective.evidence(objective.sequence_logits(features))
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        order = torch.randperm(6, generator=generator)
        assert torch.equal(accumulated(votes[:, order]), accumulated(votes)), "not one bit"
        # whose rounding may depend on the row
        shuffled = objective.evidence(objective.window_head(features[:, order]))
        assert (accumulated(shuffled) - accumulated(votes)).abs().max() < 1e-12
        assert torch.equal(
            objective.decide(accumulated(shuffled)), objective.decide(accumulated(votes))
        )
        other = objective.evidence(objective.sequence_logits(features[:, order]))
        assert (accumulated(other) - accumulated(steps)).abs().max() > 1e-3


def test_models_without_windows_are_refused():
    with pytest.raises(
        ValueError, match="model Pixels has no window_features, sequence, cnn, standardise, lstm"
    ) as error:
        WindowsThenSequence(models.create("pixels", clip_shape=SHAPE.clip), SHAPE)
    assert "\n" not in str(error.value)


# --- What its claims are measured with. ---


def test_frames_are_shuffled_inside_each_window():
    objective = small()
    assert window_length(objective) == 9
    still = torch.rand(3, 1, 1, 16, 16).expand(3, 1, 14, 16, 16)
    torch.testing.assert_close(
        shuffled_inside(objective, still),
        objective.model.window_features(still),
        rtol=1e-4,
        atol=1e-5,
    )
    moving = batch_of(3)["clip"]
    assert shuffled_inside(objective, moving).shape == (3, 6, 3)
    assert not torch.allclose(
        shuffled_inside(objective, moving), objective.model.window_features(moving), atol=1e-2
    )


def test_shuffling_keeps_the_frames_of_each_window(monkeypatch):
    objective = small()
    numbered = torch.arange(14.0)[None, None, :, None, None].expand(2, 1, 14, 16, 16)
    seen = []
    monkeypatch.setattr(
        objective.model,
        "window_features",
        lambda clip: seen.append(clip) or torch.zeros(len(clip), 1, 3),
    )
    shuffled_inside(objective, numbered)
    frames = seen[0][:, 0, :, 0, 0].unflatten(0, (2, 6))
    for start in range(6):
        assert frames[0, start].sort().values.tolist() == list(range(start, start + 9))
        assert frames[0, start].tolist() != frames[1, start].tolist(), "an order of its own"
