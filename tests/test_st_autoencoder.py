"""Spatio-temporal autoencoder: exact warping, memory that lasts, losses, flow that finds motion."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy import stats

from studies.fidelity.claim import Verdict
from studies.fidelity.errors import above, of_run
from studies.fidelity.flow_fields import digit_motion, mean_length
from studies.fidelity.st_autoencoder import (
    CLAIMS,
    FAST,
    FLOW,
    FREE,
    SLOW_SPEEDS,
    SMOOTHNESS,
    SPEEDS,
)
from studies.results import NotRun, Results
from studies.scores import difference
from vidrep import models, systems
from vidrep.activations.scores import scores_of_clips
from vidrep.clip_scores import write_clip_scores
from vidrep.datasets.recipes import recipe
from vidrep.datasets.render import render_split
from vidrep.datasets.store import write_clips
from vidrep.digits.source import load_digits
from vidrep.flow.methods import flow_of_clips
from vidrep.frame_errors import MARGIN
from vidrep.models.warp import warp
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.objectives.classification import Classification
from vidrep.objectives.next_frame import DELTA, NextFrame, central_differences, roughness
from vidrep.splits import SplitFiles
from vidrep.systems import catalogue
from vidrep.training.device import Device
from vidrep.training.run import load_run, train_run
from vidrep.training.split import load_split

SHAPE = DataShape((1, 6, 8, 12), 10, multi_label=True)
TINY = {"channels": 3, "memory_channels": 4, "kernel": 3, "memory_kernel": 3, "flow_kernel": 3}
VARIANTS = {
    "untied": {},
    "tied": {"untied": False},
    "no flow": {"flow_kernel": None},
    "dense": {"memory": "dense", "units": 5, "flow_kernel": None},
    "no memory": {"memory": "none", "stack": 3, "flow_kernel": None},
}


def tiny_model(shape=SHAPE.clip, **params):
    torch.manual_seed(0)
    return models.create("st_autoencoder", clip_shape=shape, **{**TINY, **params})


def tiny(shape=SHAPE, observed=4, params=None, **options) -> NextFrame:
    objective = NextFrame(tiny_model(shape.clip, **(params or {})), shape, observed, **options)
    # away from zero flow, where half of the network has no part in the result
    if objective.model.flow is not None:
        torch.nn.init.normal_(objective.model.flow[2].weight)
    return objective.eval()


def random_batch(count=3, shape=SHAPE.clip) -> dict[str, torch.Tensor]:
    return {"clip": torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))}


def bilinear(image: np.ndarray, y: float, x: float) -> float:
    """One sample of an image, zero outside."""
    top = int(np.floor(y))
    left = int(np.floor(x))
    total = 0.0
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                total += image[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


# --- Warping. ---


def test_warp_against_loops():
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 3, 2, 5, 7, generator=generator)
    flow = 3 * torch.randn(2, 2, 2, 5, 7, generator=generator)
    warped = warp(maps, flow).numpy()
    for b, c, t, y, x in np.ndindex(warped.shape):
        right, down = flow[b, :, t, y, x].tolist()
        assert warped[b, c, t, y, x] == pytest.approx(
            bilinear(maps[b, c, t].numpy(), y + down, x + right), abs=1e-5
        )
    with pytest.raises(
        ValueError,
        match=r"flow of shape \(2, 2, 2, 7, 5\) does not belong to maps of shape \(2, 3, 2, 5, 7\)",
    ):
        warp(maps, flow.transpose(3, 4))


def rendered(name: str) -> tuple[torch.Tensor, dict]:
    digits = load_digits({"kind": "sklearn"}, patch=8, seed=0)
    found = render_split(recipe(name, frames=8, size=20, patch=8), digits, "test", 20, seed=0)
    return torch.from_numpy(found["clips"]).float()[:, None], found


def test_exact_displacement_of_one_digit_gives_the_next_frame():
    clips, found = rendered("one_digit")
    # (n, T-1, 2) as (x, y)
    moved = torch.from_numpy(np.diff(found["corners"][:, :, 0].astype(np.float32), axis=1))[
        ..., [1, 0]
    ]
    everywhere = -moved.transpose(1, 2)[..., None, None].expand(-1, -1, -1, 20, 20)
    # of 255
    torch.testing.assert_close(
        warp(clips[:, :, :-1], everywhere), clips[:, :, 1:], rtol=0, atol=1e-2
    )
    torch.testing.assert_close(warp(clips, torch.zeros(20, 2, 8, 20, 20)), clips, rtol=0, atol=1e-2)
    assert moved.abs().sum() > 100


def test_exact_backward_flow_of_two_digits_gives_what_is_lit():
    clips, found = rendered("digits_only")
    backward = flow_of_clips("true_backward", found["clips"], found["patches"], found["corners"])
    warped = warp(clips[:, :, :-1], torch.from_numpy(backward).float().transpose(1, 2))
    apart = ~torch.from_numpy(
        found["factors"]["overlap"][:, :-1] | found["factors"]["overlap"][:, 1:]
    )[:, None, :, None, None]
    lit = (clips[:, :, 1:] > 0) & apart
    error = (warped - clips[:, :, 1:])[lit].abs().mean()
    copied = (clips[:, :, :-1] - clips[:, :, 1:])[lit].abs().mean()
    assert error < 1e-3 < 20 < copied


# --- The network. ---


def test_reference_has_the_sizes_of_the_released_code():
    with torch.device("meta"):
        untied = models.create("st_autoencoder", clip_shape=(1, 20, 64, 64))
        objective = NextFrame(
            untied,
            DataShape((1, 20, 64, 64), 10, True),
            **catalogue()["flow_autoencoder"]["objective_params"],
        )

    def count(module):
        return sum(parameter.numel() for parameter in module.parameters())

    parts = (
        untied.encoder,
        untied.recurrence.cell,
        untied.recurrence.first,
        untied.flow,
        objective.decoder,
    )
    assert [count(part) for part in parts] == [1_600, 679_320, 211_815, 21_160, 1_569]
    assert count(objective) == 915_464 and sum(count(part) for part in parts) - 211_815 == 703_649
    with torch.device("meta"):
        steps = untied.unroll(torch.zeros(1, 1, 20, 64, 64))
    assert steps.memory.shape == (1, 45, 20, 32, 32) and steps.flow.shape == (1, 2, 20, 32, 32)


def test_memory_against_its_equations():
    memory = tiny_model().recurrence
    features = torch.randn(2, 3, 4, 4, 6)

    def conv(layer, maps):
        return torch.nn.functional.conv2d(maps, layer.weight[:, :, 0], layer.bias, padding=1)

    for bias in (memory.first.bias, memory.cell.conv_input.bias):
        assert not bias.any()
    for weight in (
        memory.first.weight,
        memory.cell.conv_input.weight,
        memory.cell.conv_hidden.weight,
    ):
        assert 0.07 < weight.abs().max() <= 0.08
    i, a, o = conv(memory.first, features[:, :, 0]).chunk(3, dim=1)
    cell = i.sigmoid() * a.tanh()
    expected = [o.sigmoid() * cell.tanh()]
    for t in range(1, 4):
        gates = conv(memory.cell.conv_input, features[:, :, t]) + conv(
            memory.cell.conv_hidden, expected[-1]
        )
        i, f, a, o = gates.chunk(4, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * a.tanh()
        expected.append(o.sigmoid() * cell.tanh())
    torch.testing.assert_close(memory.unroll(features, None)[0], torch.stack(expected, dim=2))


@pytest.mark.parametrize("params", VARIANTS.values(), ids=VARIANTS)
def test_pieces_of_a_clip_with_the_state_carried_on_are_the_whole(params):
    objective = tiny(params=params)
    clip = random_batch()["clip"]
    with torch.no_grad():
        whole = objective.model.unroll(clip)
        first = objective.model.unroll(clip[:, :, :1])
        middle = objective.model.unroll(clip[:, :, 1:4], first.state)
        last = objective.model.unroll(clip[:, :, 4:], middle.state)
    frames = torch.cat([objective.next_frames(steps) for steps in (first, middle, last)], dim=2)
    torch.testing.assert_close(objective.next_frames(whole), frames)
    fresh = objective.model.unroll(clip[:, :, 4:])
    assert not torch.allclose(objective.next_frames(fresh), objective.next_frames(last)), (
        "without its past it predicts something else"
    )


def test_flow_starts_at_zero_and_then_only_its_last_layer_learns():
    objective = NextFrame(tiny_model(), SHAPE, 4)
    clip = random_batch()["clip"]
    steps = objective.model.unroll(clip)
    assert not steps.flow.any()
    torch.testing.assert_close(objective.model.next_maps(steps), steps.features)
    objective.loss({"clip": clip}).backward()
    head = objective.model.flow
    assert (
        head[2].weight.grad.any()
        and not head[0].weight.grad.any()
        and not objective.model.recurrence.first.weight.grad.any()
    )


def test_flow_is_clamped_at_a_quarter_of_the_frame():
    objective = tiny()
    with torch.no_grad():
        objective.model.flow[2].bias.copy_(torch.tensor([100.0, -100.0]))
        flow = objective.model.unroll(random_batch()["clip"]).flow
    assert (flow[:, 0] == 6 / 4).all() and (flow[:, 1] == -4 / 4).all()
    motion = objective.displacement(flow)
    assert (
        motion.shape == (3, 2, 6, 8, 12)
        and (motion[:, 0] == -12 / 4).all()
        and (motion[:, 1] == 8 / 4).all()
    )


def test_classification_leaves_the_flow_head_alone_and_prediction_trains_it():
    model = tiny_model()
    Classification(model, SHAPE)
    assert not any(parameter.requires_grad for parameter in model.flow.parameters())
    NextFrame(model, SHAPE, 4)
    assert all(parameter.requires_grad for parameter in model.parameters())


# --- The objective. ---


def test_loss_of_the_paper_by_hand():
    objective = tiny(smoothness=0.5)
    batch = random_batch()
    with torch.no_grad():
        steps = objective.model.unroll(batch["clip"][:, :, :5])
        error = (objective.next_frames(steps)[:, :, 4] - batch["clip"][:, :, 5]).square().mean()
        flow = steps.flow[:, :, 4].double().numpy()
        found = objective.loss(batch)
    padded = np.pad(flow, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    length = (
        np.hypot(
            padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2],
            padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1],
        )
        / 2
    )
    huber = np.where(length <= 1e-3, length**2 / 2, 1e-3 * (length - 5e-4))
    assert found.item() == pytest.approx(error.item() + 0.5 * huber.mean(), rel=1e-5)
    assert huber.mean() > 1e-5


def test_roughness_of_slopes():
    # (2, 1, 1, 6), along x
    slope = torch.arange(6.0) * torch.tensor([DELTA / 2, 3.0])[:, None, None, None]
    inner = roughness(slope.expand(2, 1, 5, 6)[None])[0, :, 0, :, 1:-1]
    torch.testing.assert_close(inner[0], torch.full((5, 4), (DELTA / 2) ** 2 / 2))
    torch.testing.assert_close(inner[1], torch.full((5, 4), DELTA * (3 - DELTA / 2)))
    flat = torch.ones(1, 2, 1, 5, 6, requires_grad=True)
    roughness(flat).sum().backward()
    assert flat.grad.isfinite().all()


def test_reconstruction_of_frames_from_their_own_features():
    objective = tiny(reconstruction=0.5)
    plain = tiny()
    batch = random_batch()
    clip = batch["clip"]
    with torch.no_grad():
        frames = objective.decoder(objective.model.encoder(clip))
        error = (frames[:, :, 4] - clip[:, :, 4]).square().mean().item()
        assert objective.loss(batch).item() == pytest.approx(plain.loss(batch).item() + 0.5 * error)
        torch.testing.assert_close(
            objective.generate(batch)["reconstruction"], frames[:, :, :4].clamp(0, 1)
        )
    with pytest.raises(ValueError, match="reconstruction needs a model with flow"):
        tiny(reconstruction=0.5, params={"flow_kernel": None})


def test_gradient_domain_does_not_see_an_offset_but_for_the_intensity_term():
    batch = random_batch()
    x, y = central_differences(batch["clip"])
    expected_y, expected_x = np.gradient(batch["clip"].numpy(), axis=(3, 4))
    np.testing.assert_allclose(x[..., 1:-1], expected_x[..., 1:-1], atol=1e-6)
    np.testing.assert_allclose(y[..., 1:-1, :], expected_y[..., 1:-1, :], atol=1e-6)
    losses = {}
    for offset in (0.0, 0.7):
        for intensity in (0.0, 0.1):
            objective = tiny(domain="gradient", intensity=intensity, smoothness=0)
            torch.nn.init.constant_(objective.decoder[1].bias, offset)
            losses[offset, intensity] = objective.loss(batch).item()
    assert losses[0.0, 0.0] == pytest.approx(losses[0.7, 0.0], rel=1e-5)
    error = (
        tiny().loss(batch).item()
        - tiny(smoothness=0, intensity=0, domain="gradient").loss(batch).item()
    )
    assert error != 0 and losses[0.7, 0.1] != pytest.approx(losses[0.0, 0.1], rel=1e-3)


def test_all_frames_count_alike():
    objective = tiny(loss_at="all", smoothness=0)
    batch = random_batch()
    with torch.no_grad():
        generated = objective.next_frames(objective.model.unroll(batch["clip"][:, :, :-1]))
        assert objective.loss(batch).item() == pytest.approx(
            (generated - batch["clip"][:, :, 1:]).square().mean().item()
        )


@pytest.mark.parametrize("params", VARIANTS.values(), ids=VARIANTS)
def test_frames_are_rolled_out_from_own_outputs_alone(params):
    objective = tiny(params=params)
    batch = random_batch()
    changed = {"clip": batch["clip"].clone()}
    changed["clip"][:, :, 4:] = 0
    with torch.no_grad():
        generated = objective.generate(batch)
        again = objective.generate(changed)
        history = torch.cat([batch["clip"][:, :, :4], generated["prediction"]], dim=2)
        expected = objective.next_frames(objective.model.unroll(history[:, :, :-1]))[
            :, :, 3:
        ].clamp(0, 1)
        longer = objective.rollout(batch, 5)
    assert all(torch.equal(generated[name], again[name]) for name in generated)
    torch.testing.assert_close(generated["prediction"], expected)
    torch.testing.assert_close(longer[:, :, :2], generated["prediction"])
    assert longer.shape == (3, 1, 5, 8, 12) and longer.min() >= 0 and longer.max() <= 1
    assert set(generated) == {"prediction", "flow"} - (
        {"flow"} if objective.model.flow is None else set()
    )


def test_scores():
    objective = tiny()
    batch = random_batch()
    clip = batch["clip"]
    with torch.no_grad():
        scores = objective.score(batch)
        frames = objective.next_frames(objective.model.unroll(clip[:, :, :-1]))[:, :, 3:].clamp(
            0, 1
        )
        rolled = objective.rollout(batch, 2)
    true = clip[:, :, 4:]
    before = clip[:, :, 3:5]
    for name, generated in (("next_frame", frames), ("prediction", rolled), ("copy_last", before)):
        expected = (generated - true).square().sum((1, 3, 4)).mean(1)
        torch.testing.assert_close(scores[f"{name}_squared_error_per_frame"], expected)
    p = frames.clamp(MARGIN, 1 - MARGIN).double()
    nats = -(true * p.log() + (1 - true) * (1 - p).log()).sum((1, 3, 4)).mean(1)
    torch.testing.assert_close(scores["next_frame_nats_per_frame"], nats.float())
    assert scores["loss"].mean().item() == pytest.approx(objective.loss(batch).item())


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 6, 8, 8), {"domain": "colour"}, "domain is 'colour'; give one of intensity, gradient"),
        ((1, 6, 8, 8), {"loss_at": "first"}, "loss_at is 'first'; give one of last, all"),
        ((1, 6, 9, 8), {}, "frames of 9 x 8 px; make both sides multiples of 2"),
        ((1, 4, 8, 8), {}, "observed is 4 of 4 frames"),
        ((1, 6, 1, 8), {}, "too small for pooling"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(shape, options, message):
    definition = {
        "name": "x",
        "model": "st_autoencoder",
        "params": TINY,
        "objective": "next_frame",
        "inputs": ["clip"],
    }
    with pytest.raises(ValueError, match=message):
        build(
            {**definition, "objective_params": {"observed": 4, **options}},
            DataShape(shape, 10, True),
        )
    with pytest.raises(
        ValueError,
        match="objective next_frame: model Pixels has no unroll, next_maps, map_channels, pool",
    ):
        build(
            {**definition, "model": "pixels", "params": {}, "objective_params": {"observed": 2}},
            SHAPE,
        )
    with pytest.raises(ValueError, match="memory is 'slow'; give one of conv, dense, none"):
        tiny_model(memory="slow")


@pytest.mark.slow
def test_flow_that_is_learnt_tells_the_motion():
    """Spots move 1.5 px a frame, right or left: memory must tell which, and the flow must show it.

    Only the difference is tested: encoder and decoder can shift everything by one constant that the
    flow takes back.
    """
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(12.0)[:, None]
    columns = torch.arange(12.0)
    heading = torch.tensor([1.0, -1.0]).repeat(8)
    start = 4 + 4 * torch.rand(2, 16, generator=generator)
    # (16, T, 1, 1)
    x = (start[0, :, None] + 1.5 * heading[:, None] * (torch.arange(5) - 2))[..., None, None]
    distance = (rows - start[1, :, None, None, None]) ** 2 + (columns - x) ** 2
    clip = torch.exp(-distance / (2 * 1.5**2))[:, None]
    shape = DataShape((1, 5, 12, 12), 10, True)
    objective = NextFrame(
        tiny_model(shape.clip, channels=8, memory_channels=8), shape, 3, loss_at="all"
    )
    optimiser = torch.optim.Adam(objective.parameters(), lr=1e-2)
    for _ in range(100):
        optimiser.zero_grad()
        objective.loss({"clip": clip}).backward()
        optimiser.step()
    with torch.no_grad():
        # of the first predicted frame, along x
        flow = objective.generate({"clip": clip})["flow"][:, 0, 0]
    lit = clip[:, 0, 3] > 0.5
    moved = (flow * lit).sum((1, 2)) / lit.sum((1, 2))
    assert moved[heading > 0].min() - moved[heading < 0].max() > 1.5, moved


# --- Claims. ---

SYSTEMS = {
    "no_flow": {"flow_kernel": None},
    "dense": VARIANTS["dense"],
    "no_memory": VARIANTS["no memory"],
}
NARROW = {f"flow_autoencoder_{name}_narrow": {"params": params} for name, params in SYSTEMS.items()}
NARROW |= {
    "flow_autoencoder_narrow": {},
    "flow_autoencoder_smooth": {"objective_params": {"smoothness": 10.0}},
}
NARROW["flow_autoencoder_free"] = {}
NARROW["flow_autoencoder_rigid"] = {"objective_params": {"smoothness": 1000.0}}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    """A tiny experiment with one run of everything on every data set, and an untrained baseline."""
    folder = tmp_path_factory.mktemp("results")
    digits = load_digits({"kind": "sklearn"}, patch=6, seed=0)
    for dataset in (FAST, SPEEDS, SLOW_SPEEDS):
        made = recipe(dataset, frames=6, size=20, patch=6)
        (folder / "datasets" / dataset).mkdir(parents=True)
        for split in ("train", "test"):
            attrs = {"dataset": dataset, "split": split, "recipe": asdict(made)}
            attrs |= {"multi_label": True, "classes": list("0123456789")}
            write_clips(
                folder / "datasets" / dataset / f"{split}.h5",
                render_split(made, digits, split, 24, 1),
                attrs,
            )
        clips = load_split(SplitFiles(folder / "datasets" / dataset / "train.h5"))
        test = load_split(SplitFiles(folder / "datasets" / dataset / "test.h5"))
        for name, changes in NARROW.items():
            entry = {
                "name": name,
                "model": "st_autoencoder",
                "params": TINY | changes.get("params", {}),
                "objective": "next_frame",
                "objective_params": {"observed": 3} | changes.get("objective_params", {}),
                "recipe": {"epochs": [1], "batch": 12},
            }
            definition = {
                **systems.system({**catalogue().get(name, {}), **entry}).definition(),
                "first_seed": 0,
            }
            for seed in (0, "untrained"):
                out = folder / "runs" / dataset / name / f"seed{seed}"
                how = {
                    "device": Device(torch.device("cpu"), "float32"),
                    "folder": out,
                    "fingerprint": "x",
                    "about": {},
                }
                train_run(
                    definition, clips, clips, seed=0, run_seed=seed, report=lambda line: None, **how
                )
                objective, *_ = load_run(out, how["device"])
                scores = scores_of_clips(objective, test, how["device"])
                file = folder / "clip_scores" / dataset / f"{dataset}--{name}--seed{seed}.npz"
                file.parent.mkdir(parents=True, exist_ok=True)
                write_clip_scores(file, test.ids, test.labels.numpy(), {"test": scores})
    return Results(folder)


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.text for claim in CLAIMS])
@pytest.mark.slow
def test_claims_are_measured(claim, results, tmp_path):
    finding = claim.measure(results)
    assert finding.verdict in Verdict and finding.measured and "nan" not in finding.measured
    if claim.expected in ("errors near zero", "zero"):
        assert finding.holds, finding.measured
    with pytest.raises(NotRun):
        claim.measure(Results(tmp_path))


def test_differences_against_scipy():
    rng = np.random.default_rng(0)
    a = rng.normal(1, 1, 400)
    b = rng.normal(0.8, 2, 400)
    paired = stats.ttest_rel(a, b)
    groups = stats.ttest_ind(a, b, equal_var=False)
    first = of_run(a, "a", "same")
    for second, expected in ((of_run(b, "b", "same"), paired), (of_run(b, "b", "other"), groups)):
        found = difference(first, second)
        interval = expected.confidence_interval(0.95)
        wanted = (a.mean() - b.mean(), interval.low, interval.high)
        assert (found.value, found.low, found.high) == pytest.approx(wanted, abs=2e-3)
    assert above(("a", "b"), a + 1, b).holds and not above(("a", "b"), a, b + 1).holds


def test_mean_length_is_that_of_lit_places():
    clips = torch.zeros(1, 1, 3, 4, 4)
    clips[0, 0, 2, :2, :2], clips[0, 0, 2, 2:, 2:] = 1, 0.5
    flow = torch.full((1, 2, 2, 2, 2), 100.0)
    flow[0, :, 1, 0, 0], flow[0, :, 1, 1, 1] = torch.tensor([3.0, 4.0]), torch.tensor([0.0, -2.0])
    assert mean_length(flow, clips, 1).tolist() == [[pytest.approx((5 + 0.5 * 2) / 1.5)]]


def test_motion_of_digits_read_from_exact_flow():
    _, found = rendered("one_digit")
    corners = found["corners"].astype(int)
    patches = found["patches"]
    backward = flow_of_clips("true_backward", found["clips"], patches, corners)
    assert np.array_equal(
        digit_motion(-backward, corners, patches), np.diff(corners, axis=1)[..., ::-1]
    )


def test_runs_of_the_claims_differ_in_one_weight_alone():
    experiments = Path(__file__).parents[1] / "workflow" / "experiments"
    listed = yaml.safe_load((experiments / "fidelity_predictive.yaml").read_text())["systems"]
    entries = {item["name"]: item for item in listed if isinstance(item, dict)}
    narrow = systems.system(FLOW)
    changes = {
        name: {"smoothness": weight} for weight, name in SMOOTHNESS.items() if name != FLOW
    } | {FREE: {"reconstruction": 0.0}}
    for name, change in changes.items():
        chosen = systems.system(entries[name])
        assert {"reconstruction": 0.0} | chosen.objective_params == narrow.objective_params | change
        assert (chosen.model, chosen.params, chosen.recipe) == (
            narrow.model,
            narrow.params,
            narrow.recipe,
        )
