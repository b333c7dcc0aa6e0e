"""Slow features find slow sources, agree with a plain solution, fit through the loop; controls."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch

from vidrep import models, systems
from vidrep.models.slow_features import Moments, quadratic, whitening
from vidrep.objectives.base import DataShape, Objective
from vidrep.objectives.build import build
from vidrep.objectives.slow_features import SlowFeatureAnalysis
from vidrep.training.checkpoint import Checkpoint
from vidrep.training.loop import fit
from vidrep.training.run import train_run

# cycles a frame: six sources from slow to fast
FREQUENCIES = (0.013, 0.041, 0.077, 0.12, 0.19, 0.26)


def sources(clips: int = 40, frames: int = 100, seed: int = 0) -> torch.Tensor:
    """(clips, frames, 6) cosines of random phase."""
    phase = torch.rand(clips, 1, 6, generator=torch.Generator().manual_seed(seed))
    return torch.cos(
        2 * math.pi * (torch.arange(frames)[:, None] * torch.tensor(FREQUENCIES) + phase)
    )


def as_clips(values: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(B, T, height * width) -> (B, 1, T, height, width)."""
    return values.unflatten(2, (height, width))[:, None]


def fitted(clips: torch.Tensor, **params) -> torch.nn.Module:
    """A model fitted to clips (B, C, T, H, W), two batches of them."""
    torch.manual_seed(0)
    model = models.create("slow_features", clip_shape=tuple(clips.shape[1:]), **params)
    model.fit_components(clips.split(len(clips) // 2 + 1))
    model.fit_slow(clips.split(len(clips) // 2 + 1))
    return model


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return abs(np.corrcoef(a.flatten(), b.flatten())[0, 1])


@pytest.fixture
def mixture() -> torch.Tensor:
    """The six sources in frames of 2 x 3 values, mixed by a random matrix, with an offset."""
    mixing = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
    return as_clips(sources() @ mixing + 3, 2, 3)


def test_linear_slow_features_are_the_sources_slowest_first(mixture):
    model = fitted(mixture, components=6, features=6, expansion="linear")
    slow = model(mixture)
    for number in range(6):
        assert correlation(slow[..., number], sources()[..., number]) > 0.99
    # A cosine of unit variance and frequency f changes by 4 sin^2(pi f) in the mean square from
    # frame to frame.
    expected = torch.tensor([4 * math.sin(math.pi * f) ** 2 for f in FREQUENCIES])
    torch.testing.assert_close(model.deltas, expected, rtol=0.05, atol=0)


def test_quadratic_slow_features_undo_a_quadratic_mixture():
    """Only f and s + f^2 are seen of s (slow) and f (fast): linear functions cannot give s."""
    slow = sources()[..., 0]
    fast = sources(seed=5)[..., 4]
    clips = as_clips(torch.stack([fast, slow + fast**2], dim=-1), 1, 2)
    linear, curved = (
        fitted(clips, components=2, features=1, expansion=name) for name in ("linear", "quadratic")
    )
    assert correlation(linear(clips)[..., 0], slow) < 0.95
    assert correlation(curved(clips)[..., 0], slow) > 0.99


@pytest.mark.parametrize(("expansion", "features"), [("linear", 6), ("quadratic", 20)])
def test_slow_features_are_centred_white_and_ordered(mixture, expansion, features):
    clips = mixture + 0.5 * torch.randn(mixture.shape, generator=torch.Generator().manual_seed(2))
    model = fitted(clips, components=6, features=features, expansion=expansion)
    slow = model(clips).double()
    rows = slow.flatten(0, 1)
    torch.testing.assert_close(rows.mean(0), torch.zeros(features).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        rows.T @ rows / len(rows), torch.eye(features).double(), rtol=0, atol=1e-3
    )
    assert (model.deltas.diff() >= 0).all()
    torch.testing.assert_close(
        slow.diff(dim=1).square().mean((0, 1)), model.deltas.double(), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("expansion", ["linear", "quadratic"])
def test_an_invertible_mixing_of_the_input_changes_nothing(mixture, expansion):
    clips = mixture + 0.5 * torch.randn(mixture.shape, generator=torch.Generator().manual_seed(2))
    again = as_clips(
        clips[:, 0].flatten(2) @ torch.randn(6, 6, generator=torch.Generator().manual_seed(3)) - 2,
        2,
        3,
    )
    params = {"components": 6, "features": 4, "expansion": expansion}
    one = fitted(clips, **params)(clips)
    two = fitted(again, **params)(again)
    for number in range(4):  # each feature is free in its sign
        assert correlation(one[..., number], two[..., number]) > 0.9999


def test_deltas_agree_with_the_generalised_eigenvalue_problem(mixture):
    clips = mixture + 0.5 * torch.randn(mixture.shape, generator=torch.Generator().manual_seed(2))
    frames = clips[:, 0].flatten(2).double().numpy()
    rows = frames.reshape(-1, 6)
    steps = np.diff(frames, axis=1).reshape(-1, 6)
    expected = scipy.linalg.eigh(
        steps.T @ steps / len(steps), np.cov(rows.T, bias=True), eigvals_only=True
    )
    np.testing.assert_allclose(
        fitted(clips, components=6, features=6, expansion="linear").deltas, expected, rtol=1e-4
    )


def test_components_are_the_principal_ones():
    generator = torch.Generator().manual_seed(0)
    clips = torch.randn(30, 3, 4, 2, 2, generator=generator) * torch.rand(
        3, 1, 2, 2, generator=generator
    )
    frames = clips.transpose(1, 2).flatten(2).flatten(0, 1).double().numpy()
    left, scale, _ = np.linalg.svd(frames - frames.mean(0), full_matrices=False)
    found = (
        fitted(clips, components=5, features=2)
        .components(clips.transpose(1, 2).flatten(2))
        .flatten(0, 1)
        .numpy()
    )
    for number in range(5):
        expected = left[:, number] * math.sqrt(len(frames))
        assert np.abs(np.abs(expected @ found[:, number]) / len(frames) - 1) < 1e-4
    assert scale[0] > scale[4]


def test_moments_over_batches_and_whitening():
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) @ torch.randn(4, 4) + 7
    # a fifth column that adds no direction
    rows = torch.cat([rows, rows[:, :1] - 2 * rows[:, 1:2]], dim=1)
    moments = Moments()
    for batch in rows.split(17):
        moments.add(batch)
    np.testing.assert_allclose(moments.mean, rows.double().mean(0))
    np.testing.assert_allclose(moments.covariance, np.cov(rows.double().T, bias=True), atol=1e-10)
    white = (rows.double() - moments.mean) @ whitening(moments.covariance).T
    assert white.shape == (50, 4)
    np.testing.assert_allclose(white.T @ white / 50, np.eye(4), atol=1e-6)


def test_quadratic_terms_by_hand():
    assert quadratic(torch.tensor([2.0, 3.0, 5.0])).tolist() == [2, 3, 5, 4, 6, 10, 9, 15, 25]


def test_clips_are_never_joined(mixture):
    """The order of clips does not matter: only neighbours within a clip count."""
    params = {"components": 6, "features": 3, "expansion": "linear"}
    torch.testing.assert_close(
        fitted(mixture, **params).deltas,
        fitted(mixture.flip(0), **params).deltas,
        rtol=1e-5,
        atol=0,
    )


def test_rank_deficient_clips_are_named():
    clips = torch.rand(4, 1, 3, 4, 4).expand(-1, -1, 3, -1, -1) * torch.ones(4, 4)
    clips[..., 2:, :] = 0
    with pytest.raises(
        ValueError,
        match=r"the training clips have \d+ independent components, not 12; lower the model's comp",
    ):
        fitted(clips, components=12, features=2)
    with pytest.raises(
        ValueError, match=r"the training clips have \d+ independent features, not 9"
    ):
        fitted(clips[:2], components=3, features=9)


@pytest.mark.parametrize(
    ("shape", "params", "message"),
    [
        ((1, 1, 8, 8), {}, "slowness needs at least 2 frames"),
        ((1, 8, 8, 8), {"components": 65}, "frames of 64 values give at most as many components"),
        (
            (1, 8, 8, 8),
            {"components": 3, "features": 10},
            "these 9 functions at most as many features",
        ),
        (
            (1, 8, 20, 20),
            {"expansion": "cubic"},
            "expansion must be linear or quadratic, got 'cubic'",
        ),
    ],
)
def test_impossible_sizes(shape, params, message):
    with pytest.raises(ValueError, match=message):
        models.create("slow_features", clip_shape=shape, **params)


def test_reference_size():
    with torch.device("meta"):
        model = models.create("slow_features", clip_shape=(1, 16, 64, 64))
        assert model(torch.empty(2, 1, 16, 64, 64)).shape == (2, 16, 64)
    assert model.slow.weight.shape == (64, 5150)  # Berkes & Wiskott: 100 components, 5150 functions


def test_other_models_have_no_slow_features():
    with pytest.raises(ValueError, match="model Pixels has no fit_components, fit_slow"):
        SlowFeatureAnalysis(
            models.create("pixels", clip_shape=(1, 4, 4, 4)), DataShape((1, 4, 4, 4), 10, True)
        )


def test_fitted_through_the_training_loop(make_split, cpu, tmp_path, tiny_system):
    system = tiny_system("slow_features_narrow")
    train = make_split(24, split="train")
    validation = make_split(8, split="validation", seed=2)
    objective = build(system.definition(), train.shape)
    before = objective.model.slow.weight.clone()
    options = {
        "seed": 0,
        "device": cpu,
        "checkpoint": Checkpoint(tmp_path / "c.pt", "x"),
        "report": print,
    }
    outcome = fit(objective, system.recipe, train, validation, **options)
    assert not torch.equal(objective.model.slow.weight, before) and not objective.training
    rows = torch.cat([objective.embed(batch) for batch in train.batches(10, cpu)]).flatten(0, 1)
    torch.testing.assert_close(
        rows.T @ rows / len(rows), torch.eye(rows.shape[1]), rtol=0, atol=1e-3
    )
    slowness = torch.cat(
        [objective.score(batch)["loss"] for batch in train.batches(10, cpu)]
    ).mean()
    torch.testing.assert_close(slowness, objective.model.deltas.mean(), rtol=1e-3, atol=0)
    assert {row[2] for row in outcome.history} == {"loss"}


def test_a_run_and_its_untrained_twin(make_split, cpu, tmp_path, tiny_system):
    definition = {**tiny_system("slow_features_narrow").definition(), "first_seed": 0}
    splits = make_split(20, split="train"), make_split(6, split="validation", seed=2)
    weights = {}
    for seed in (0, "untrained"):
        options = {
            "seed": 1,
            "device": cpu,
            "fingerprint": "",
            "about": {},
            "report": lambda line: None,
        }
        train_run(definition, *splits, run_seed=seed, folder=tmp_path / str(seed), **options)
        weights[seed] = torch.load(tmp_path / str(seed) / "weights.pt", weights_only=True)
    assert (weights[0]["model.deltas"] > 0).all() and (
        weights["untrained"]["model.deltas"] == 0
    ).all()


# --- Controls without parameters. ---


def test_frame_differences_are_signed():
    clip = torch.zeros(1, 1, 3, 2, 2)
    clip[0, 0, 1, 0, 0], clip[0, 0, 2, 0, 1] = 1, 0.5
    difference = models.create("frame_difference", clip_shape=(1, 3, 2, 2))(clip)
    assert difference.tolist() == [[1, 0, 0, 0, -1, 0.5, 0, 0]]


@pytest.mark.parametrize("name", ["exact_flow", "frame_difference"])
def test_controls_pass_through_a_run(name, make_split, cpu, tmp_path):
    system = systems.system(name)
    assert system.seeds == () and (system.flow == "true") == (name == "exact_flow")
    split = make_split(6)
    definition = {**system.definition(), "first_seed": 0}
    folder = tmp_path / name
    options = {
        "seed": 1,
        "device": cpu,
        "fingerprint": "",
        "about": {},
        "report": lambda line: None,
    }
    train_run(definition, split, split, run_seed="untrained", folder=folder, **options)
    objective = build(definition, split.shape)
    assert (
        type(objective) is Objective and len((folder / "history.csv").read_text().splitlines()) == 1
    )
    batch = split.batch(slice(0, 2), cpu)
    expected = (
        batch["flow"]
        if name == "exact_flow"
        else batch["clip"][:, :, 1:] - batch["clip"][:, :, :-1]
    )
    assert torch.equal(objective.embed(batch), expected.flatten(1))


@pytest.mark.parametrize("name", ["frame_difference", "flow"])
def test_a_single_frame_does_not_move(name):
    with pytest.raises(ValueError, match="changes between frames need at least 2 frames, got 1"):
        models.create(name, clip_shape=(1, 1, 8, 8))
