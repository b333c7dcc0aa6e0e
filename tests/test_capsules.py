"""Capsules: squash, routing and margin loss agree with plain NumPy; images belong to classes."""

import numpy as np
import pytest
import torch

from studies.fidelity.capsules import CLAIMS, correlations, digits_alone
from studies.fidelity.claim import Verdict
from studies.results import Results
from vidrep import models, systems
from vidrep.clip_scores import write_clip_scores
from vidrep.datasets.recipes import recipe
from vidrep.datasets.render import render_split
from vidrep.datasets.store import write_clips
from vidrep.digits.source import load_digits
from vidrep.models.capsules import ClassCapsules, PrimaryCapsules, route, squash, with_coordinates
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.objectives.capsule_margin import CapsuleMargin, longest, margin_loss, middle_frame
from vidrep.training.device import Device
from vidrep.training.run import train_run
from vidrep.training.split import Split

SHAPE = DataShape((1, 5, 12, 12), 4, multi_label=True)
TINY = {
    "convs": [[4, [3, 3, 3], [1, 2, 2]]],
    "primary": [3, 4, [1, 3, 3], 1],
    "capsules": 4,
    "size": 5,
}


def numpy_squash(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return length**2 / (1 + length**2) * vectors / length


def numpy_route(predictions: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """The procedure of the paper, capsule by capsule, for one clip: predictions (N, J, D)."""
    lower, upper, size = predictions.shape
    b = np.zeros((lower, upper))
    for _ in range(iterations):
        c = np.stack([np.exp(row) / np.exp(row).sum() for row in b])
        v = np.zeros((upper, size))
        for j in range(upper):
            v[j] = numpy_squash(sum(c[i, j] * predictions[i, j] for i in range(lower)))
        for i in range(lower):
            for j in range(upper):
                b[i, j] += predictions[i, j] @ v[j]
    return v, c


def random_predictions(seed: int = 0) -> torch.Tensor:
    return torch.randn(3, 7, 4, 5, generator=torch.Generator().manual_seed(seed))


def test_squash_keeps_directions_and_brings_lengths_below_one():
    vectors = (
        torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0))
        * torch.tensor([0.01, 1, 100, 3])[:, None]
    )
    np.testing.assert_allclose(
        squash(vectors), numpy_squash(vectors.double().numpy()), rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(
        squash(vectors.transpose(1, 2), dim=1), squash(vectors).transpose(1, 2)
    )
    assert (squash(vectors).norm(dim=-1) < 1).all()
    assert squash(torch.tensor([3.0, 4.0])).tolist() == pytest.approx(
        [25 / 26 * 0.6, 25 / 26 * 0.8]
    )


def test_squash_has_a_gradient_at_zero():
    zero = torch.zeros(4, requires_grad=True)
    squash(zero).sum().backward()
    assert zero.grad.isfinite().all()


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_routing_against_loops(iterations):
    predictions = random_predictions()
    upper, coefficients = route(predictions, iterations)
    for index in range(3):
        v, c = numpy_route(predictions[index].double().numpy(), iterations)
        np.testing.assert_allclose(upper[index], v, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(coefficients[index], c, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(coefficients.sum(-1), torch.ones(3, 7))
    assert (upper.norm(dim=-1) < 1).all()


def test_routing_follows_agreement():
    """Six capsules agree on class 0 and scatter on class 1.

    The longer they route, the longer class 0 and the shorter class 1.
    """
    predictions = torch.zeros(1, 6, 2, 6)
    predictions[0, :, 0, 0] = 1
    predictions[0, range(6), 1, range(6)] = 1
    once, often = (route(predictions, iterations)[0].norm(dim=-1)[0] for iterations in (1, 4))
    assert often[0] > once[0] > once[1] > often[1]


def test_gradient_is_that_of_the_last_round():
    """Constant coefficients of the last round give the same gradient; the full gradient differs."""
    predictions = random_predictions().requires_grad_()
    upper, coefficients = route(predictions, 3)
    direction = torch.randn(upper.shape, generator=torch.Generator().manual_seed(1))
    (found,) = torch.autograd.grad((upper * direction).sum(), predictions)
    constant = torch.stack(
        [
            torch.from_numpy(numpy_route(p.double().numpy(), 3)[1]).float()
            for p in predictions.detach()
        ]
    )
    last = squash((constant[..., None] * predictions).sum(1))
    (expected,) = torch.autograd.grad((last * direction).sum(), predictions)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert not coefficients.requires_grad


def test_primary_capsules_are_squashed_channel_groups():
    torch.manual_seed(0)
    layer = PrimaryCapsules(2, 3, 4, (1, 3, 3), (1, 2, 2))
    maps = torch.randn(2, 2, 3, 7, 7)
    raw = layer.convolution(maps).detach().numpy()  # (2, 12, 3, 3, 3)
    for kind in range(3):
        channels = slice(4 * kind, 4 * kind + 4)
        expected = np.moveaxis(numpy_squash(np.moveaxis(raw[:, channels], 1, -1)), -1, 1)
        np.testing.assert_allclose(
            layer(maps)[:, channels].detach(), expected, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize(
    ("pool", "lower"),
    [("none", 2 * 3 * 2 * 2), ("time", 2 * 2 * 2), ("space", 2 * 3), ("space_time", 2)],
)
def test_pooled_capsules_predict_with_their_own_matrices(pool, lower):
    torch.manual_seed(0)
    options = {"coordinates": False, "capsules": 3, "size": 4, "iterations": 3}
    layer = ClassCapsules(2, 5, (3, 2, 2), pool=pool, **options)
    primary = torch.randn(2, 10, 3, 2, 2)
    vectors = primary.reshape(2, 2, 5, 3, 2, 2).numpy()
    axes = {"none": (), "time": (3,), "space": (4, 5), "space_time": (3, 4, 5)}[pool]
    pooled = np.moveaxis(vectors.mean(axes, keepdims=True) if axes else vectors, 2, -1).reshape(
        2, lower, 5
    )
    weight = layer.weight.detach().numpy().reshape(lower, 3, 4, 5)
    expected = np.stack(
        [[[weight[i, j] @ pooled[b, i] for j in range(3)] for i in range(lower)] for b in range(2)]
    )
    np.testing.assert_allclose(layer.predictions(primary).detach(), expected, rtol=1e-4, atol=1e-5)
    assert layer(primary).shape == (2, 12)


def test_coordinates_tell_the_centre_of_mass():
    vectors = torch.zeros(1, 1, 2, 1, 5, 9)
    # one capsule of length 1, in the last row and the third column
    vectors[0, 0, :, 0, 4, 2] = torch.tensor([0.6, 0.8])
    mean = with_coordinates(vectors).sum((3, 4, 5))[0, 0]
    torch.testing.assert_close(mean, torch.tensor([0.6, 0.8, 1.0, -0.5]), rtol=0, atol=1e-3)


def test_first_class_capsules_have_a_raw_length_near_one():
    """Unit capsules, however many, give one round of routing something to squash to about 1/2."""
    for types in (4, 64):
        torch.manual_seed(0)
        options = {"coordinates": False, "capsules": 10, "size": 16, "iterations": 1}
        layer = ClassCapsules(types, 8, (1, 2, 2), pool="none", **options)
        unit = torch.nn.functional.normalize(torch.randn(20, types, 8, 1, 2, 2), dim=2).flatten(
            1, 2
        )
        assert 0.4 < layer(unit).unflatten(1, (10, 16)).norm(dim=-1).mean() < 0.6


def test_reference_has_the_sizes_of_the_paper():
    with torch.device("meta"):
        model = models.create("capsules", clip_shape=(1, 16, 64, 64))
        primary = model.primary(model.conv1(torch.empty(1, 1, 16, 64, 64)))
        assert model(torch.empty(2, 1, 16, 64, 64)).shape == (2, 160)
        assert primary.shape == (1, 32 * 8, 14, 24, 24)
        image = models.create("capsules", clip_shape=(1, 3, 28, 28), pool="none", coordinates=False)
    assert model.conv1[0].weight.shape == (256, 1, 3, 9, 9)
    assert model.class_capsules.weight.shape == (32 * 14, 160, 8 + 2)
    # On three frames of MNIST the paper's counts: 1152 primary capsules, 1,474,560 weights of its
    # class capsules.
    assert (
        image.class_capsules.weight.shape == (1152, 160, 8)
        and image.class_capsules.weight.numel() == 1_474_560
    )
    assert sum(p.numel() for p in image.primary.parameters()) == 256 * 256 * 81 + 256


@pytest.mark.parametrize(
    ("shape", "params", "message"),
    [
        (
            (1, 2, 20, 20),
            {},
            r"a feature map of \(2, 20, 20\) \(T, H, W\) is smaller than the kernel \(3, 9, 9\)",
        ),
        (
            (1, 16, 16, 16),
            {},
            r"a feature map of \(14, 8, 8\) \(T, H, W\) is smaller than the kernel \(1, 9, 9\)",
        ),
        ((1, 16, 20, 20), {"pool": "max"}, "pool must be one of none, time, space, space_time"),
        ((1, 16, 20, 20), {"iterations": 0}, "iterations positive"),
    ],
)
def test_impossible_sizes(shape, params, message):
    with pytest.raises(ValueError, match=message):
        models.create("capsules", clip_shape=shape, **params)


# --- The objective. ---


def tiny_objective(shape: DataShape = SHAPE, **params) -> CapsuleMargin:
    torch.manual_seed(0)
    return CapsuleMargin(
        models.create("capsules", clip_shape=shape.clip, **TINY), shape, decoder=[6, 7], **params
    )


def tiny_batch(shape: DataShape = SHAPE) -> dict[str, torch.Tensor]:
    labels = torch.tensor(
        [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 1]] if shape.multi_label else [[0, 1, 0, 0]] * 3
    ).float()
    return {
        "clip": torch.rand(3, *shape.clip, generator=torch.Generator().manual_seed(2)),
        "labels": labels,
    }


def test_margin_loss_by_hand():
    lengths = torch.tensor([[0.95, 0.5, 0.05, 0.3], [0.9, 0.2, 0.1, 0.0]])
    labels = torch.tensor([[1.0, 1, 0, 0], [0, 1, 0, 0]])
    expected = [0.4**2 + 0.5 * 0.2**2, 0.5 * 0.8**2 + 0.7**2]
    assert margin_loss(lengths, labels).tolist() == pytest.approx(expected)


def test_scores_from_known_lengths(monkeypatch):
    objective = tiny_objective(reconstruction=0)
    lengths = torch.tensor([[0.8, 0.1, 0.6, 0.55], [0.2, 0.9, 0.1, 0.3], [0.1, 0.2, 0.4, 0.7]])
    known = torch.zeros(3, 4, 5)
    known[..., 1] = lengths
    monkeypatch.setattr(objective, "class_capsules", lambda batch: known)
    scores = objective.score(tiny_batch())
    assert scores["exact_set"].tolist() == [0, 1, 0]  # a class too many, right, one missed
    assert scores["exact_set_top2"].tolist() == [1, 0, 1]  # a clip with one label cannot be right
    assert scores["present_above_half"].tolist() == [1, 1, 0]
    torch.testing.assert_close(scores["loss"], margin_loss(lengths, tiny_batch()["labels"]))


def test_single_labels_are_the_longest_capsule(monkeypatch):
    shape = DataShape(SHAPE.clip, 4, multi_label=False)
    objective = tiny_objective(shape)
    known = torch.zeros(3, 4, 5)
    known[..., 0] = torch.tensor([[0.1, 0.4, 0.3, 0.2], [0.6, 0.7, 0.1, 0.1], [0.9, 0.8, 0.1, 0.1]])
    monkeypatch.setattr(objective, "class_capsules", lambda batch: known)
    scores = objective.score(tiny_batch(shape))
    assert scores["exact_set"].tolist() == [1, 1, 0] and "exact_set_top2" not in scores


def test_longest():
    assert longest(torch.tensor([[0.1, 0.9, 0.3]]), 2).tolist() == [[False, True, True]]


def test_each_class_is_decoded_from_its_capsule_alone():
    objective = tiny_objective().eval()
    batch = tiny_batch()
    with torch.no_grad():
        capsules = objective.class_capsules(batch)
        decoded = objective.reconstruct(batch)
        assert decoded.shape == (3, 4, 1, 12, 12)
        for clip in range(3):
            for name in range(4):
                alone = torch.zeros(4, 5)
                alone[name] = capsules[clip, name]
                expected = (
                    objective.decoder(alone.flatten()[None])[0]
                    if batch["labels"][clip, name]
                    else torch.zeros(1, 12, 12)
                )
                torch.testing.assert_close(decoded[clip, name], expected, rtol=1e-5, atol=1e-6)


def test_loss_adds_the_weighted_squared_error_of_the_middle_frame():
    objective = tiny_objective(reconstruction=0.25)
    batch = tiny_batch()
    with torch.no_grad():
        margin = margin_loss(objective.class_capsules(batch).norm(dim=-1), batch["labels"])
        error = (
            ((objective.reconstruct(batch).sum(1) - batch["clip"][:, :, 2]) ** 2).flatten(1).sum(1)
        )
        torch.testing.assert_close(objective.loss(batch), (margin + 0.25 * error).mean())
    assert torch.equal(middle_frame(batch["clip"]), batch["clip"][:, :, 2])


def test_clips_without_labels_are_no_obstacle():
    objective = tiny_objective()
    batch = tiny_batch()
    batch["labels"] = torch.zeros(3, 4)
    loss = objective.loss(batch)
    loss.backward()
    assert loss.isfinite() and objective.model.conv1[0].weight.grad.isfinite().all()


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        ("pixels", {}, "model Pixels has no class capsules"),
        (
            "capsules",
            {**TINY, "capsules": 10},
            "the model has 10 class capsules, the data 4 classes; set the model's capsules to 4",
        ),
    ],
)
def test_models_that_do_not_fit(model, params, message):
    with pytest.raises(ValueError, match=message):
        CapsuleMargin(models.create(model, clip_shape=SHAPE.clip, **params), SHAPE)


def test_reference_weighs_reconstruction_as_the_paper():
    with torch.device("meta"):
        objective = build(
            systems.system("capsules").definition(), DataShape((1, 16, 64, 64), 10, True)
        )
    widths = [layer.out_features for layer in objective.decoder if hasattr(layer, "out_features")]
    assert (objective.reconstruction, widths) == (0.0005, [512, 1024, 64 * 64])


# --- Claims. ---


def test_digits_alone_make_up_the_frame():
    made = recipe("digits_only", frames=4, size=20, patch=8)
    rendered = render_split(made, load_digits({"kind": "sklearn"}, patch=8, seed=0), "test", 5, 1)
    alone = digits_alone(rendered["patches"], rendered["corners"][:, 2], 20)
    assert np.array_equal(alone.max(1), rendered["clips"][:, 2])


def test_correlations_against_numpy():
    rng = np.random.default_rng(0)
    decoded = rng.random((3, 2, 4, 4))
    true = rng.random((3, 2, 4, 4))
    found = correlations(decoded, true)
    for clip, j, k in np.ndindex(3, 2, 2):
        assert found[clip, j, k] == pytest.approx(
            np.corrcoef(decoded[clip, j].ravel(), true[clip, k].ravel())[0, 1]
        )


@pytest.fixture
def results(tmp_path) -> Results:
    """A tiny experiment with one trained run of capsules."""
    made = recipe("digits_only_slow", frames=6, size=12, patch=6)
    digits = load_digits({"kind": "sklearn"}, patch=6, seed=0)
    rendered = {name: render_split(made, digits, name, 12, 1) for name in ("train", "test")}
    attrs = {"dataset": "digits_only_slow", "split": "test", "multi_label": True}
    attrs["classes"] = list("0123456789")
    (tmp_path / "datasets" / "digits_only_slow").mkdir(parents=True)
    write_clips(tmp_path / "datasets" / "digits_only_slow" / "test.h5", rendered["test"], attrs)
    split = Split(
        torch.from_numpy(rendered["train"]["clips"]),
        torch.from_numpy(rendered["train"]["labels"]),
        None,
        True,
        ["train"] * 12,
    )
    changes = {
        "params": {**TINY, "capsules": 10},
        "objective_params": {"decoder": [4]},
        "recipe": {"epochs": [1], "batch": 4},
    }
    definition = {
        **systems.system({"name": "capsules_narrow", **changes}).definition(),
        "first_seed": 0,
    }
    folder = tmp_path / "runs" / "digits_only_slow" / "capsules_narrow" / "seed0"
    options = {
        "seed": 0,
        "run_seed": 0,
        "device": Device(torch.device("cpu"), "float32"),
        "fingerprint": "",
        "about": {},
    }
    train_run(definition, split, split, folder=folder, report=lambda line: None, **options)
    present = np.resize([1.0, 1.0, 1.0, 0.0], 12)
    scores = tmp_path / "clip_scores/digits_only_slow/digits_only_slow--capsules_narrow--seed0.npz"
    scores.parent.mkdir(parents=True)
    labels = rendered["test"]["labels"]
    by_split = {"test": {"present_above_half": present}}
    write_clip_scores(scores, [str(i) for i in range(12)], labels, by_split)
    return Results(tmp_path)


def test_claims_are_measured(results):
    long, apart = (claim.measure(results) for claim in CLAIMS)
    # 12 clips do not decide it
    assert long.measured.startswith("75.0 % of 12 test clips")
    assert long.verdict == Verdict.UNDECIDED
    assert "mean correlation" in apart.measured and apart.verdict in Verdict
