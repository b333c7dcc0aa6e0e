"""Temporal coherence: its equations, no cost without weight, and what it teaches beyond labels."""

import numpy as np
import pandas as pd
import pytest
import torch

from vidrep import models
from vidrep.objectives.base import DataShape
from vidrep.objectives.classification import Classification
from vidrep.objectives.temporal_coherence import TemporalCoherence, apart, l1, pick
from vidrep.report import style, tables
from vidrep.report.few_labels import few_labels_figure, plot_few_labels
from vidrep.statistics import wilson_interval
from vidrep.training.checkpoint import Checkpoint
from vidrep.training.loop import evaluate, fit

SHAPE = DataShape((1, 8, 16, 16), 4, multi_label=True)
SMALL = {"convs": [[4, 5, 2], [6, 3, 2]], "hidden": 10}


def lenet(seed: int = 0, shape: DataShape = SHAPE) -> torch.nn.Module:
    torch.manual_seed(seed)
    return models.create("lenet", clip_shape=shape.clip, **SMALL)


def batch_of(count: int, seed: int = 0, shape: DataShape = SHAPE) -> dict:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.eye(shape.classes)[torch.arange(count) % shape.classes]
    return {
        "clip": torch.rand(count, *shape.clip, generator=generator),
        "labels": labels,
        "row": torch.arange(count),
    }


# --- The network. ---


def test_lenet_sees_every_frame_by_itself_with_the_layers_of_lenet():
    model = lenet()
    clip = batch_of(2)["clip"]
    whole = model(clip)
    for t in range(8):
        torch.testing.assert_close(model(clip[:, :, [t]])[:, 0], whole[:, t])
    maps = clip[0, :, 3]
    for layer in (model.conv1, model.conv2):
        weight = layer[0].weight[:, :, 0]
        bias = layer[0].bias
        maps = torch.nn.functional.max_pool2d(
            torch.tanh(torch.nn.functional.conv2d(maps, weight, bias)), 2
        )
    dense = model.hidden[1]
    torch.testing.assert_close(torch.tanh(dense(maps.flatten())), whole[0, 3])


def test_reference_lenet_has_lenets_size():
    """Maps 6, 16 and 120 of 5 x 5, on 64 px: 120 x 4 x 4 values to 84 units."""
    with torch.device("meta"):
        model = models.create("lenet", clip_shape=(1, 16, 64, 64))
    expected = 6 * 26 + 16 * (6 * 25 + 1) + 120 * (16 * 25 + 1) + 84 * (120 * 16 + 1)
    assert sum(p.numel() for p in model.parameters()) == expected


def test_small_frames_are_refused():
    with pytest.raises(
        ValueError, match="convolution 2 needs maps of at least 3 x 3, it gets 2 x 2"
    ):
        models.create("lenet", clip_shape=(1, 8, 8, 8), **SMALL)


# --- The loss. ---


def test_without_coherence_it_is_classification_bit_for_bit():
    """Without weight, steps on the same labelled clips are those without unlabelled clips."""
    plain = Classification(lenet(), SHAPE)
    mixed = TemporalCoherence(lenet(), SHAPE, coherence=0.0, stills=None)
    mixed.heads.load_state_dict(plain.heads.state_dict())
    optimisers = [torch.optim.Adam(objective.parameters(), lr=0.01) for objective in (plain, mixed)]
    for step in range(5):
        labelled = batch_of(4, seed=step)
        losses = (
            plain.loss(labelled),
            mixed.loss({**batch_of(6, seed=100 + step), "labelled": labelled}),
        )
        assert losses[0].item() == losses[1].item()
        for loss, optimiser in zip(losses, optimisers, strict=True):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    states = [objective.state_dict() for objective in (plain, mixed)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def plain_coherence(
    frames: np.ndarray, gap: int, delta: float, shift: int, starts: np.ndarray
) -> tuple[float, float]:
    """Mean cost of neighbours and of pairs apart, pair by pair, as the source writes it."""
    near = []
    far = []
    for i in range(len(frames)):
        for place in range(starts.shape[1]):
            z = frames[i, starts[i, place]]
            near.append(np.abs(z - frames[i, starts[i, place] + gap]).sum())
            other = (i - shift) % len(frames)
            far.append(max(0.0, delta - np.abs(z - frames[other, starts[other, place]]).sum()))
    return float(np.mean(near)), float(np.mean(far))


@pytest.mark.parametrize("gap", [1, 3])
@pytest.mark.parametrize("pairs", [2, None])
def test_the_coherence_loss_is_the_sources(gap, pairs):
    objective = TemporalCoherence(lenet(), SHAPE, coherence=0.5, gap=gap, pairs=pairs)
    batch = {**batch_of(5), "labelled": batch_of(3, seed=1)}
    objective.prepare("train", [batch])
    torch.manual_seed(4)
    starts = torch.rand(5, 8 - gap).argsort(1)[:, : objective.pairs].numpy()
    shift = int(torch.randint(1, 5, ()))
    frames = objective.embed(batch).detach().double().numpy()
    near, far = plain_coherence(frames, gap, objective.delta.item(), shift, starts)
    supervised = (
        Classification.clip_losses(
            objective,
            {"": objective.heads["all"](objective.embed(batch["labelled"])[:, [4]])},
            batch["labelled"]["labels"],
        )
        .mean()
        .item()
    )
    torch.manual_seed(4)
    assert objective.loss(batch).item() == pytest.approx(supervised + 0.5 * (near + far), rel=1e-5)
    alone = TemporalCoherence(
        objective.model, SHAPE, coherence=0.5, gap=gap, pairs=pairs, negatives=False
    )
    alone.heads.load_state_dict(objective.heads.state_dict())
    torch.manual_seed(4)
    assert alone.loss(batch).item() == pytest.approx(supervised + 0.5 * near, rel=1e-5)


def test_the_labels_of_unlabelled_clips_and_the_classifier_have_no_part_in_coherence():
    objective = TemporalCoherence(lenet(), SHAPE, coherence=1.0)
    batch = {**batch_of(4), "labelled": batch_of(3, seed=1)}
    objective.prepare("train", [batch])
    losses = []
    for labels in (batch["labels"], 1 - batch["labels"]):
        torch.manual_seed(0)
        losses.append(objective.loss({**batch, "labels": labels}).item())
    assert losses[0] == losses[1]
    objective.coherence_loss(batch).backward()
    assert (
        all(p.grad is None for p in objective.heads.parameters())
        and objective.model.conv1[0].weight.grad.any()
    )


def test_a_model_that_needs_whole_clips_gets_them_and_has_the_same_loss():
    model = lenet()
    batch = {**batch_of(4), "labelled": batch_of(3, seed=1)}
    objective = TemporalCoherence(model, SHAPE, coherence=0.5, stills=2)
    losses = []
    seen = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[2]))
    for frame_wise in (True, False):
        model.frame_wise = frame_wise
        torch.manual_seed(0)
        losses.append(objective.loss(batch).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and seen == [2, 4, 8, 8]


def test_stills_are_spread_evenly_and_margin_is_the_mean_distance_apart():
    objective = TemporalCoherence(lenet(), SHAPE, coherence=0.0, stills=2, margin=1.5)
    seen = []
    batch = batch_of(4)
    batch["clip"] = (torch.arange(8.0) / 10)[None, None, :, None, None].expand(4, 1, 8, 16, 16)
    objective.model.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0][0, 0, :, 0, 0])
    )
    objective.loss({**batch_of(4), "labelled": batch})
    torch.testing.assert_close(seen[0], torch.tensor([0.2, 0.6]))
    batches = [batch_of(4), batch_of(4, seed=1)]
    objective.prepare("train", batches)
    frames = [objective.embed(item) for item in batches]
    mean = np.mean(
        [
            (z[i, t] - z[i - 1, t - 4]).abs().sum().item()
            for z in frames
            for i in range(4)
            for t in range(8)
        ]
    )
    assert objective.delta.item() == pytest.approx(1.5 * mean, rel=1e-5) and objective.training


def test_pairs_apart_are_of_other_clips():
    frames = torch.arange(12.0).view(3, 4, 1)
    assert (apart(frames) // 4 == frames.roll(1, 0) // 4).all()
    assert (l1(frames[:1], apart(frames[:1])) == 2).all(), (
        "a single clip: its own frames, half a clip away"
    )
    assert pick(frames, torch.tensor([[3], [0], [1]])).flatten().tolist() == [3, 4, 9]


def test_scores_by_hand():
    objective = TemporalCoherence(lenet(), SHAPE, coherence=0.2)
    batch = batch_of(6)
    objective.prepare("train", [batch])
    objective.eval()
    with torch.no_grad():
        scores = objective.score(batch)
        z = objective.embed(batch)
        plain = Classification.score(objective, batch)
        on = objective.probabilities(objective.logits(batch))[""].view(6, 4, 2)
    near = np.array([[(z[i, t] - z[i, t + 1]).abs().sum() for t in range(7)] for i in range(6)])
    far = np.array([[(z[i, t] - z[i - 1, t - 4]).abs().sum() for t in range(8)] for i in range(6)])
    np.testing.assert_allclose(scores["positive_distance"], near.mean(1), rtol=1e-5)
    np.testing.assert_allclose(scores["negative_distance"], far.mean(1), rtol=1e-5)
    hinge = np.maximum(0, objective.delta.item() - far).mean(1)
    np.testing.assert_allclose(
        scores["loss"] - plain["loss"], 0.2 * (near.mean(1) + hinge), rtol=1e-4
    )
    assert torch.equal(scores["exact_set"], plain["exact_set"])
    deviations = np.std(z.numpy().reshape(-1, z.shape[2]), axis=0)
    np.testing.assert_allclose(scores["embedding_std"], [deviations.mean()] * 6, rtol=1e-5)
    best = (on[..., 1] - on[..., 0]).argmax(1)
    assert scores["best_class"].tolist() == [float(batch["labels"][i, best[i]]) for i in range(6)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gap": 8}, "gap is 8; clips of 8 frames take 1 to 7"),
        ({"gap": 0}, "gap is 0"),
        ({"stills": 9}, "stills is 9; clips of 8 frames have 8"),
        ({"gap": 5, "pairs": 4}, "pairs is 4; clips of 8 frames have 3 at gap 5"),
    ],
)
def test_numbers_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        TemporalCoherence(lenet(), SHAPE, **options)


def test_models_without_frames_and_single_clips_are_refused():
    pooled = models.create("frame_pooling", clip_shape=SHAPE.clip, convs=[[6, 3, 2], [6, 3, 4]])
    with pytest.raises(
        ValueError,
        match=r"needs a vector for each of 8 frames, model FramePooling gives \(24,\) a clip",
    ):
        TemporalCoherence(pooled, SHAPE)
    with pytest.raises(ValueError, match="batches of at least 2 clips"):
        TemporalCoherence(lenet(), SHAPE).loss({**batch_of(1), "labelled": batch_of(1)})


def test_other_networks_of_frames_fit():
    model = models.create(
        "cnn_lstm", clip_shape=SHAPE.clip, convs=[[4, 3, 2]], units=6, num_layers=1
    )
    objective = TemporalCoherence(model, SHAPE, coherence=0.5)
    assert objective.loss({**batch_of(3), "labelled": batch_of(2)}).isfinite()


# --- Training. ---


def moving_bars(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips of 8 frames of a bar, somewhere else in every frame, and whether it lies or stands."""
    rng = np.random.default_rng(seed)
    clips = np.zeros((count, 8, 16, 16), np.uint8)
    kind = rng.integers(2, size=count)
    for clip, standing in zip(clips, kind, strict=True):
        for frame, (top, left) in zip(clip, rng.integers(0, 9, (8, 2)), strict=True):
            frame[top : top + (8 if standing else 2), left : left + (2 if standing else 8)] = 255
    return clips, np.eye(2, dtype=np.uint8)[kind]


def trained(make_split, cpu, tmp_path, **options) -> tuple[dict, dict]:
    """Scores on new clips before and after training with the stills of two labelled clips."""
    splits = []
    for name, seed, count in (("train", 1, 120), ("validation", 2, 100)):
        split = make_split(count, split=name, classes=2)
        clips, labels = moving_bars(count, seed)
        split.clips = torch.from_numpy(clips)
        split.labels = torch.from_numpy(labels)
        splits.append(split)
    objective = TemporalCoherence(lenet(1, splits[0].shape), splits[0].shape, gap=4, **options)
    before = evaluate(objective, splits[1], cpu)
    rows = torch.tensor([splits[0].labels[:, k].nonzero()[0, 0] for k in range(2)])
    recipe = {
        "optimiser": "adam",
        "lr": 1e-2,
        "schedule": "constant",
        "weight_decay": 0.0,
        "batch": 20,
        "gradient_clip": None,
        "flip": 0.0,
        "crop": [],
        "epochs": [25],
    }
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "")
    fit(
        objective,
        recipe,
        *splits,
        seed=0,
        device=cpu,
        checkpoint=checkpoint,
        report=lambda line: None,
        labelled=rows,
    )
    checkpoint.remove()
    return before, evaluate(objective, splits[1], cpu)


@pytest.mark.slow
def test_coherence_teaches_what_two_stills_cannot(make_split, cpu, tmp_path):
    _, alone = trained(make_split, cpu, tmp_path, coherence=0.0)
    before, coherent = trained(make_split, cpu, tmp_path, coherence=0.1)
    assert coherent["best_class"] > 0.95 > 0.8 > alone["best_class"]
    assert before["negative_distance"] < 1.5 * before["positive_distance"]
    assert coherent["negative_distance"] > 3 * coherent["positive_distance"]


@pytest.mark.slow
def test_without_pairs_apart_the_embedding_collapses(make_split, cpu, tmp_path):
    before, collapsed = trained(make_split, cpu, tmp_path, coherence=1.0, negatives=False)
    assert collapsed["embedding_std"] < 0.4 * before["embedding_std"]


# --- The figure. ---


def few_label_rows() -> pd.DataFrame:
    runs = [
        ("a", "0", 0.2),
        ("a", "1", 0.4),
        ("b", "0", 0.6),
        ("c", "0", 0.5),
        ("a", "untrained", 0.1),
        ("other", "0", 0.9),
    ]
    rows = [(system, "d", "d", seed, "test", "exact_set", value) for system, seed, value in runs]
    rows += [
        ("a", "d", "e", "0", "test", "exact_set", 0.99),
        (tables.FLOOR, "d", "d", "untrained", "test", "exact_set", 0.05),
    ]
    return pd.DataFrame(
        rows, columns=["system", "trained_on", "evaluated_on", "seed", "split", "metric", "value"]
    )


def test_the_curve_stands_where_the_table_says():
    lines = {"a": {"a": 10, "b": 100}, "c": {"c": 100}}
    looks = style.looks({"a": "x", "c": "y"})
    figure = few_labels_figure(few_label_rows(), {"d": 50, "e": 50}, lines, looks)
    (axes,) = figure.axes
    floor, first, *_ = axes.lines
    assert floor.get_ydata()[0] == 5 and axes.get_title(loc="left") == "d"
    np.testing.assert_allclose(first.get_ydata(), [30, 60])
    np.testing.assert_allclose(first.get_xdata(), [10 / 1.05**0.5, 100 / 1.05**0.5])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "100"]
    dots = [container.lines[0] for container in axes.containers]
    assert [sorted(dot.get_ydata()) for dot in dots] == [[20, 40, 60], [50]]
    bars = dots[0], axes.containers[1].lines[2][0].get_segments()[0][:, 1]
    np.testing.assert_allclose(bars[1], 100 * np.array(wilson_interval(0.5, 50)))


def test_an_empty_curve_is_drawn():
    axes = style.new_figure(2, title="", note="").subplots()
    rows = few_label_rows().iloc[:0].assign(labelled=[])
    plot_few_labels(rows, axes, lines={"a": {"a": 10}}, looks=style.looks({"a": "x"}), n=10)
