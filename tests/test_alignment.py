"""Cycle consistency and the alignment room, against slow forms, libraries and closed forms."""

from itertools import permutations

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import kendalltau
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from vidrep.activations.extract import store_activations
from vidrep.alignment import job, measures
from vidrep.alignment.videos import baseline, read_videos
from vidrep.datasets.recipes import sequence_recipe
from vidrep.datasets.render import render_split
from vidrep.datasets.store import write_clips
from vidrep.digits.source import load_digits
from vidrep.models.frame_embedder import FrameEmbedder
from vidrep.objectives import cycle_losses
from vidrep.objectives.build import build
from vidrep.objectives.cycle_consistency import CycleConsistency, ordered_pairs, past_windows
from vidrep.objectives.cycle_losses import nearest_frames
from vidrep.report.alignment import alignment_figure
from vidrep.report.matches import matches_figure
from vidrep.report.matches_animation import matches_animation
from vidrep.report.style import looks
from vidrep.report.writing import webp
from vidrep.statistics import kendall_tau
from vidrep.systems import system

CYCLE = {"variance_weight": 0.001, "label_smoothing": 0.1}
TINY = {"stem": [4, 3, 1], "blocks": [4, 6], "convs": [5, 5], "dense": [7], "embedding": 6}


def steps(videos: int = 3, frames: int = 9, width: int = 5, seed: int = 0) -> torch.Tensor:
    """Random embeddings (videos, frames, width)."""
    return torch.randn(videos, frames, width, generator=torch.Generator().manual_seed(seed))


def test_tau_is_that_of_scipy_and_zero_where_undefined():
    ranks = torch.randint(0, 6, (40, 11), generator=torch.Generator().manual_seed(1))
    expected = [kendalltau(np.arange(11), row).statistic for row in ranks.numpy()]
    assert np.allclose(kendall_tau(ranks), expected, atol=1e-6)
    assert kendall_tau(torch.full((2, 7), 3)).tolist() == [0, 0]
    assert kendall_tau(torch.stack([torch.arange(7), 6 - torch.arange(7)])).tolist() == [1, -1]


def soft_nearest(point: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Softmax of the negative squared distances of a point (D,) to frames (T, D): (T,)."""
    logits = -((point - frames) ** 2).sum(1) / frames.shape[1] / 0.1
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def slow_cycle_loss(u: np.ndarray, v: np.ndarray, t: np.ndarray, variant: str) -> float:
    """The paper's formulas, frame by frame."""
    total = 0.0
    for i in range(len(u)):
        alpha = soft_nearest(u[i], v)
        beta = soft_nearest(alpha @ v, u)
        if variant == "classification":
            target = np.full(len(u), 0.1 / len(u))
            target[i] += 0.9
            total -= (target * np.log(beta)).sum()
            continue
        mean = beta @ t
        sigma = np.sqrt(beta @ (t - mean) ** 2 + cycle_losses.EPSILON)
        error = (t[i] - mean) ** 2
        total += error if variant == "mse" else error / sigma**2 + 0.001 * np.log(sigma)
    return total / len(u)


@pytest.mark.parametrize("variant", cycle_losses.VARIANTS)
def test_cycle_loss_of_all_pairs_is_the_mean_of_the_papers_formula(variant):
    videos = steps()
    objective = CycleConsistency(FrameEmbedder((1, 9, 8, 8), **TINY), SHAPE, variant=variant)
    frames = torch.tensor([[0, 2, 3, 7], [1, 4, 5, 8], [0, 1, 6, 8]])
    taken = [video[chosen].double().numpy() for video, chosen in zip(videos, frames, strict=True)]
    losses = []
    for a, b in permutations(range(3), 2):
        losses.append(slow_cycle_loss(taken[a], taken[b], frames[a].numpy() / 9, variant))
    found = float(objective.cycle_loss(videos, frames))
    assert found == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_video_aligns_with_its_copy_and_backwards_with_its_reverse():
    video = 5 * torch.arange(12.0)[:, None] * torch.ones(4)
    logits = cycle_losses.cycle_back(video, video, 0.1)
    assert torch.equal(logits.argmax(-1), torch.arange(12))
    regression = cycle_losses.cycle_loss(logits, torch.arange(12) / 12, "regression", **CYCLE)
    # its minimum
    assert torch.allclose(
        regression, torch.full((12,), 0.0005 * np.log(cycle_losses.EPSILON)), atol=1e-5
    )
    assert kendall_tau(nearest_frames(video, video.flip(0))) == -1


def test_time_contrast_is_a_cross_entropy_over_positives():
    anchors = steps(2, 4, 3)
    positives = steps(2, 4, 3, seed=1)
    expected = 0.0
    for a, p in zip(anchors, positives, strict=True):
        scores = a @ p.T
        expected += (
            torch.nn.functional.cross_entropy(scores, torch.arange(4))
            + 0.25 * 0.02 * (a.norm() ** 2 + p.norm() ** 2) / 4
        )
    assert float(cycle_losses.n_pairs(anchors, positives, 0.02).mean()) == pytest.approx(
        float(expected) / 2, rel=1e-5
    )


def test_positives_are_all_other_frames_of_the_window():
    torch.manual_seed(0)
    anchors = torch.arange(10).repeat(400, 1)
    positives = cycle_losses.positives_of(anchors, 10, 3)
    for frame in range(10):
        assert set(positives[:, frame].tolist()) == {
            x for x in range(max(0, frame - 3), min(9, frame + 3) + 1) if x != frame
        }


def test_triplets_in_order_are_told_from_shuffled_ones():
    torch.manual_seed(0)
    triplets, shuffled = cycle_losses.order_triplets(
        torch.tensor([2, 3, 5, 7, 11]).repeat(500, 1), 0.75
    )
    first, middle, last = triplets.unbind(-1)
    between = (torch.minimum(first, last) < middle) & (middle < torch.maximum(first, last))
    assert torch.equal(between, shuffled == 0) and 0.7 < shuffled.float().mean() < 0.8
    assert set(map(tuple, triplets.tolist())) == {
        (3, 5, 7),
        (7, 5, 3),
        (3, 2, 7),
        (3, 11, 7),
        (7, 11, 3),
        (7, 2, 3),
    }


def test_sampled_frames_are_sorted_and_different():
    torch.manual_seed(0)
    frames = cycle_losses.sorted_frames(50, 12, 7, torch.device("cpu"))
    assert (frames.diff(dim=1) > 0).all() and frames.min() == 0 and frames.max() == 11
    assert sorted(zip(*(x.tolist() for x in ordered_pairs(3, frames.device)), strict=True)) == list(
        permutations(range(3), 2)
    )


def test_published_size_of_the_embedder():
    base = [
        (49, 1, 64),
        (9, 64, 128),
        (9, 128, 128),
        (9, 128, 256),
        (9, 256, 256),
        (9, 256, 512),
        (9, 512, 512),
    ]
    convs = [*base, (27, 512, 512), (27, 512, 512)]
    # bias, and scale and shift of the normalisation
    expected = sum(kernel * a * b + 3 * b for kernel, a, b in convs)
    expected += 2 * (512 * 512 + 512) + 512 * 128 + 128
    with torch.device("meta"):
        assert sum(p.numel() for p in FrameEmbedder((1, 32, 64, 64)).parameters()) == expected


def test_an_embedding_sees_its_frame_and_one_past_frame():
    model = FrameEmbedder((1, 9, 8, 8), stride=3, **TINY).eval()
    clip = torch.rand(1, 1, 9, 8, 8)
    other = clip.clone()
    other[:, :, 4] = torch.rand(8, 8)
    with torch.no_grad():
        changed = (model(clip) - model(other)).abs().sum(-1)[0] > 1e-6
    assert changed.nonzero().flatten().tolist() == [4, 7]
    assert model.context.past_frames(5).tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 4]]


SHAPE = type("Shape", (), {"clip": (1, 9, 8, 8), "classes": 4, "multi_label": True})


def test_windows_reach_into_the_past_alone():
    frames = torch.arange(5.0).view(1, 1, 5, 1, 1)
    assert past_windows(frames, 3, moving=False).flatten(1).tolist() == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 2],
        [1, 2, 3],
        [2, 3, 4],
    ]
    fields = torch.arange(1.0, 5).view(1, 1, 4, 1, 1)
    assert past_windows(fields, 3, moving=True).flatten(1).tolist() == [
        [0, 0],
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 4],
    ]


def test_a_clip_model_slides_over_the_clip_and_its_layers_are_stored_clip_by_clip(
    make_split, cpu, tmp_path
):
    import zarr

    split = make_split(5)
    params = {"stem": [4, 3, [1, 2, 2]], "stages": [[8, 1, 2]]}
    item = {
        "name": "slides",
        "model": "c3d",
        "params": params,
        "objective": "cycle_consistency",
        "objective_params": {"window": 4},
    }
    torch.manual_seed(0)
    objective = build(system(item).definition(), split.shape).eval()
    batch = split.batch(slice(None), cpu)
    with torch.no_grad():
        embedded = objective.embed(batch)
        assert torch.allclose(
            embedded[2, 6], objective.model(batch["clip"][2:3, :, 3:7])[0], atol=1e-5
        )
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    store_activations(objective, split, group, rows=4, policy="none", dtype="float32", device=cpu)
    last = objective.model.layers[-1]
    assert np.allclose(group[last][:], embedded[:4].numpy(), atol=1e-5)
    assert group[objective.model.layers[0]].shape[0] == 4


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"weights": {"cycles": 1}}, "unknown loss cycles"),
        ({"variant": "huber"}, "variant is 'huber'"),
        ({"weights": {"order": 1}, "samples": 4}, "at least 5"),
        ({"window": 9}, "window is 9"),
    ],
)
def test_bad_settings_are_named(params, says, make_split):
    item = {
        "name": "x",
        "model": "frame_embedder",
        "params": TINY,
        "objective": "cycle_consistency",
        "objective_params": params,
    }
    with pytest.raises(ValueError, match=says):
        build(system(item).definition(), make_split(2).shape)


def test_a_model_of_whole_clips_is_told_to_slide(make_split):
    item = {
        "name": "x",
        "model": "c3d",
        "params": {"stem": [4, 3, [1, 2, 2]], "stages": [[8, 1, 2]]},
        "objective": "cycle_consistency",
    }
    with pytest.raises(ValueError, match="window"):
        build(system(item).definition(), make_split(2).shape)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Training and test videos of the unwarped sequences on disk."""
    folder = tmp_path_factory.mktemp("sequences_unwarped")
    source = load_digits({"kind": "sklearn"}, patch=8, seed=0)
    recipe = sequence_recipe(
        "sequences_unwarped", frames=16, size=20, patch=8, jitter=0.05, warp=0.6
    )
    for split in ("train", "test"):
        attrs = {
            "dataset": "sequences_unwarped",
            "split": split,
            "multi_label": True,
            "classes": list("0123456789"),
        }
        write_clips(folder / f"{split}.h5", render_split(recipe, source, split, 20, 0), attrs)
    return folder


def test_frame_numbers_align_unwarped_videos_perfectly_and_random_vectors_do_not(files, tmp_path):
    protocol = job.Protocol((1, 2), 4, seed=0)
    fit = read_videos(files / "train.h5", 12)
    test = read_videos(files / "test.h5", 10)
    tables = {}
    for name in ("frame_index", "chance"):
        x, y = (
            baseline(name, videos, protocol.rng(name, place))
            for place, videos in enumerate((fit, test))
        )
        rows = job.score_rows(x, fit, y, test, protocol)
        assert rows == job.score_rows(x, fit, y, test, protocol)
        tables[name] = pd.DataFrame(rows, columns=job.ALIGNMENT_COLUMNS).set_index(
            ["metric", "labelled_videos"]
        )["value"]
    number = tables["frame_index"]
    chance = tables["chance"]
    assert (
        number["kendall_tau"].item() == pytest.approx(1) and number["alignment_error"].item() < 1e-6
    )
    assert number["progression_r2"].item() > 0.99 and number["few_shot_accuracy"].min() > 0.9
    assert abs(chance["kendall_tau"].item()) < 0.1 and chance["progression_r2"].item() < 0.1
    assert chance["phase_accuracy"].max() < 0.5 and list(number["phase_accuracy"].index) == [
        1,
        6,
        12,
    ]
    job.write_matches(tmp_path / "matches.h5", y, test)
    with h5py.File(tmp_path / "matches.h5") as file:
        assert (
            file["clips"].shape == (2, 4, 16, 20, 20)
            and (file["clips"][0, 0] == test.clips[0]).all()
        )
        matches = {name: value[:] for name, value in file.items()}
    assert len(matches_figure(matches, "a run").axes) == 8 and matches_figure({}, "a run")
    assert len(webp(matches_animation(matches))) < 300_000


def test_progression_is_r2_averaged_over_events():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 7, 9, 3))
    events = rng.integers(1, 8, size=(2, 7, 2))
    parts = measures.progression_parts(x, events[0], y, events[1])
    frame = np.arange(9)[:, None]
    target, truth = (((frame - some[:, None]) / 9).reshape(-1, 2) for some in events)
    line = LinearRegression().fit(x.reshape(-1, 3), target)
    predicted = line.predict(y.reshape(-1, 3))
    assert measures.mean_r2(parts, np.ones(7)) == pytest.approx(r2_score(truth, predicted))


def test_bootstrap_of_pairs_leaves_out_a_video_with_itself():
    rng = np.random.default_rng(0)
    matrix = rng.random((4, 4))
    sample = [0, 2, 2, 3]
    pairs = [matrix[a, b] for a, b in permutations(sample, 2) if a != b]
    weights = np.bincount(sample, minlength=4).astype(float)
    assert measures.mean_of_pairs(matrix, weights[None])[0] == pytest.approx(np.mean(pairs))


def test_matches_and_tau_of_a_collapsed_embedding_are_zero():
    collapsed = torch.zeros(3, 6, 2)
    found = measures.pair_measures(
        measures.matched_frames(collapsed), torch.linspace(0, 1, 6).expand(3, 6)
    )
    assert (found["kendall_tau"] == 0).all() and found["alignment_error"].min() > 0.4


def test_figure_shows_runs_twins_and_baselines():
    rows = [
        (name, "sequences", "sequences", seed, metric, labels, 0.5, 0.4, 0.6)
        for name, seed in (
            ("tcc_narrow", "0"),
            ("tcc_narrow", "untrained"),
            ("frame_index", "untrained"),
        )
        for metric, labels in (
            ("kendall_tau", np.nan),
            ("alignment_error", np.nan),
            ("progression_r2", 9),
            ("phase_accuracy", 1),
            ("phase_accuracy", 9),
            ("digit_linear", 9),
            ("few_shot_accuracy", 1),
            ("few_shot_accuracy", 2),
        )
    ]
    table = pd.DataFrame(
        rows, columns=["system", "trained_on", "evaluated_on", "seed", *job.ALIGNMENT_COLUMNS]
    )
    figure = alignment_figure(table, "sequences", looks({"tcc_narrow": "frame alignment"}), 60)
    assert [len(axes.containers) for axes in figure.axes[:5]] == [3, 3, 3, 3, 3]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        "tcc_narrow",
        "frame number",
    ]
    assert len(figure.axes[5].lines) == 2
