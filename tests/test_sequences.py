"""Sequences: videos that follow one script, each at its own pace."""

import numpy as np
import pytest

from vidrep.config import check, complete
from vidrep.datasets.recipes import sequence_recipe, versions
from vidrep.datasets.render import render, render_split
from vidrep.digits.source import load_digits
from vidrep.flow.exact import exact_flow

SETTINGS = {"frames": 24, "size": 20, "patch": 8, "jitter": 0.08, "warp": 0.6}


@pytest.fixture(scope="module", params=list(versions("sequences")))
def videos(request):
    return request.param, *render(sequence_recipe(request.param, **SETTINGS), count=60, seed=3)


def test_digits_are_where_the_boxes_say(videos):
    name, clips, labels, factors = videos
    assert clips.shape == (60, 24, 20, 20) and (labels.sum(1) == 1).all()
    assert (labels.argmax(1) == factors["digit"][:, 0]).all()
    top, left, bottom, right = np.moveaxis(factors["boxes"][:, :, 0], -1, 0)
    rows = np.arange(20)[:, None]
    columns = np.arange(20)
    top, left, bottom, right = (edge[..., None, None] for edge in (top, left, bottom, right))
    inside = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    assert (clips.max((2, 3)) > 0).all()
    outside = np.where(inside, 0, clips)
    if name != "sequences_hard":
        assert not outside.any()
        return
    # what stands behind is half as bright, and the same wherever the digit does not hide it
    assert 100 < outside.max() <= 127
    behind = outside.max(1, keepdims=True)
    assert (np.where(inside, behind, clips) == behind).all()


def test_walls_are_hit_in_the_order_of_the_script(videos):
    _, _, _, factors = videos
    top, left, bottom, right = np.moveaxis(factors["boxes"][:, :, 0].astype(int), -1, 0)
    video = np.arange(len(top))
    step = 5  # pixels that a digit may be past the wall in the first frame at or after a hit
    assert (right[video, factors["events"][:, 0]] > 20 - step).all()
    assert (bottom[video, factors["events"][:, 1]] > 20 - step).all()
    assert (left[video, factors["events"][:, 2]] < step).all()
    frames = np.arange(top.shape[1])
    assert (factors["phase"] == (frames[:, None] >= factors["events"][:, None]).sum(-1)).all()


def test_progress_rises_strictly_from_start_to_end_and_only_warped_paces_differ(videos):
    name, _, _, factors = videos
    progress = factors["progress"]
    assert (np.diff(progress, axis=1) > 0).all()
    assert (progress[:, 0] == 0).all() and (progress[:, -1] == 1).all()
    spread = progress.std(0).max()
    assert spread < 1e-6 if name == "sequences_unwarped" else spread > 0.05


def test_versions_show_the_same_digits_and_places():
    digits = [
        render(sequence_recipe(name, **SETTINGS), count=20, seed=3)[2]["digit_image"]
        for name in versions("sequences")
    ]
    assert (digits[0] == digits[1]).all()


def test_exact_flow_carries_every_frame_into_the_next():
    source = load_digits({"kind": "sklearn"}, patch=8, seed=0)
    rendered = render_split(sequence_recipe("sequences", **SETTINGS), source, "test", 5, 0)
    flow = exact_flow(rendered["patches"], rendered["corners"], 20).astype(int)
    clip, t, y, x = np.nonzero(rendered["clips"][:, :-1])
    moved = rendered["clips"][clip, t + 1, y + flow[clip, t, 1, y, x], x + flow[clip, t, 0, y, x]]
    assert (moved == rendered["clips"][clip, t, y, x]).all() and flow.any()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"patch": 20}, "does not fit"),
        ({"frames": 7}, "at least 8 frames"),
        ({"jitter": 0.5}, "jitter"),
        ({"warp": -1}, "warp"),
    ],
)
def test_bad_settings_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        sequence_recipe("sequences", **{**SETTINGS, **changes})


def configured(**changes) -> dict:
    """A complete configuration with two groups of equally long clips."""
    systems = [
        "c3d_narrow",
        {"name": "tcc_narrow", "datasets": ["sequences", "sequences_unwarped"]},
    ]
    config = {
        "datasets": ["digits_only", "velocity_only", "sequences", "sequences_unwarped"],
        "systems": systems,
        **changes,
    }
    return complete(config)


def test_only_systems_that_name_sequences_are_trained_on_them_transfer_among_equal_lengths():
    chosen = check(configured())
    pairs = {(run.system, run.dataset) for run in chosen.trained_runs()}
    assert pairs == {
        (s, d)
        for s, d in [
            ("c3d_narrow", "digits_only"),
            ("c3d_narrow", "velocity_only"),
            ("tcc_narrow", "sequences"),
            ("tcc_narrow", "sequences_unwarped"),
        ]
    }
    assert chosen.groups() == [
        ["digits_only", "velocity_only"],
        ["sequences", "sequences_unwarped"],
    ]
    assert {run.system for run in chosen.evaluated_on("sequences")} == {"tcc_narrow"}
    assert {run.dataset for run in chosen.evaluated_on("digits_only")} == {
        "digits_only",
        "velocity_only",
    }
    equal = check(configured(video={"frames": 32}))
    assert {run.system for run in equal.evaluated_on("sequences")} == {"tcc_narrow", "c3d_narrow"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"systems": ["c3d_narrow"]}, "no system is trained on sequences"),
        ({"datasets": ["digits_only"]}, "tcc_narrow.datasets: sequences"),
        (
            {"datasets": ["sequences"], "systems": ["c3d_narrow", "tcc_narrow"]},
            "c3d_narrow: it is trained on none",
        ),
        ({"alignment": {"test": 1000}}, "alignment.test: 1000 clips"),
        (
            {"detection": {"systems": ["c3d_narrow"], "datasets": ["sequences"]}},
            "no classes to detect",
        ),
    ],
)
def test_misuse_of_sequences_is_named_in_one_line(changes, says):
    with pytest.raises(ValueError, match=says) as error:
        check(configured(**changes))
    assert "\n" not in str(error.value)


def test_data_sets_of_sequences_are_those_that_know_the_phase():
    names = list(versions("sequences"))
    learner = {"name": "tcc_narrow", "datasets": names}
    chosen = check(configured(datasets=["digits_only", *names], systems=["c3d_narrow", learner]))
    assert set(chosen.sequences()) == set(names)


def test_pauses_are_frames_of_next_to_no_progress():
    """Two pauses of three frames, which may overlap, in every video of the harder version."""
    _, _, factors = render(sequence_recipe("sequences_hard", **SETTINGS), count=60, seed=3)
    progress = np.diff(factors["progress"], axis=1)
    standing = (progress < 0.2 * np.median(progress, axis=1, keepdims=True)).sum(1)
    assert standing.min() >= 3 and 4 < standing.mean() <= 7
