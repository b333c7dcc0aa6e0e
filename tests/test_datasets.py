"""BouncingMNIST: geometry against plain loops, published statistics, independence of splits,
files.
"""

import hashlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from vidrep.datasets.bouncing import compose, draw_digits, square_patch, trajectories
from vidrep.datasets.declared import data_set
from vidrep.datasets.recipes import recipe, versions
from vidrep.datasets.render import render, render_split
from vidrep.datasets.store import open_clips, write_clips
from vidrep.digits.source import SPLITS, load_digits, write_digits

SCRIPTS = Path(__file__).parent.parent / "scripts"
ATTRS = {
    "dataset": "x",
    "split": "test",
    "classes": list("0123456789"),
    "multi_label": True,
}
FAST = 0.1
SLOW = 0.03
# label: mean pixels per frame, share of frames at a wall, of 16 frames at 64 px with patches of 28
# px
GOLDEN = {
    FAST: [
        (3.48, 0.12),
        (6.60, 0.22),
        (9.69, 0.32),
        (12.72, 0.41),
        (14.34, 0.45),
        (18.68, 0.57),
        (20.18, 0.61),
        (21.35, 0.63),
        (22.57, 0.64),
        (24.07, 0.65),
    ],
    SLOW: [
        (1.15, 0.04),
        (2.15, 0.07),
        (3.16, 0.11),
        (4.15, 0.14),
        (5.16, 0.18),
        (6.12, 0.21),
        (7.11, 0.24),
        (7.84, 0.26),
        (9.01, 0.30),
        (9.69, 0.32),
    ],
}


@pytest.fixture(scope="module")
def digits():
    return load_digits({"kind": "sklearn"}, patch=8, seed=1)


@pytest.fixture(scope="module")
def large_digits():
    return load_digits({"kind": "sklearn"}, patch=28, seed=1)


def bounce_slowly(start: float, velocity: float, frames: int) -> tuple[list[float], list[bool]]:
    """The rule as the papers' code has it: move, clamp, turn, record."""
    positions = []
    hits = []
    for _ in range(frames):
        start += velocity
        hit = not 0 < start < 1
        if hit:
            start = 0.0 if start <= 0 else 1.0
            velocity = -velocity
        positions.append(start)
        hits.append(hit)
    return positions, hits


def test_trajectories_agree_with_a_frame_by_frame_loop():
    rng = np.random.default_rng(0)
    start = rng.random(3000)
    velocity = np.concatenate(
        [rng.uniform(-1, 1, 1500), rng.uniform(-0.05, 0.05, 1000), rng.uniform(-7, 7, 500)]
    )
    position, hit = trajectories(start, velocity, 40)
    expected = [bounce_slowly(s, v, 40) for s, v in zip(start, velocity, strict=True)]
    np.testing.assert_allclose(position, [e[0] for e in expected], atol=1e-9)
    assert np.array_equal(hit, [e[1] for e in expected])


@pytest.mark.parametrize(
    ("start", "velocity"),
    [
        (0.3, 0.0),
        (0.0, -0.25),
        (0.0, 0.25),
        (0.5, 0.5),
        (0.5, -1.0),
        (0.25, 3.0),
        (0.999, 1e-15),
        (0.4, -0.6),
    ],
)
def test_trajectories_at_special_places(start, velocity):
    position, hit = trajectories(np.array(start), np.array(velocity), 12)
    expected = bounce_slowly(start, velocity, 12)
    np.testing.assert_allclose(position, expected[0], atol=1e-9)
    assert hit.tolist() == expected[1]


@pytest.mark.parametrize("step", [FAST, SLOW])
@pytest.mark.parametrize("label", range(10))
def test_golden_speeds_and_wall_hits(step, label):
    rng = np.random.default_rng(label)
    n = 40000
    free = 36
    direction = rng.uniform(0, 2 * np.pi, n)
    velocity = step * (label + 1) * np.stack([np.sin(direction), np.cos(direction)], -1)
    position, hit = trajectories(rng.random((n, 2)), velocity, 16)
    pixels = (free * position).astype(int)
    speed = np.hypot(*np.moveaxis(np.diff(pixels, axis=-1), 1, 0)).mean()
    golden_speed, golden_wall = GOLDEN[step][label]
    assert speed == pytest.approx(golden_speed, abs=0.15)
    assert hit.any(1).mean() == pytest.approx(golden_wall, abs=0.015)
    assert position.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("name", "frames_overlap", "always_overlap"),
    [
        ("digits_only", 0.87, 0.46),
        ("digits_only_slow", 0.89, 0.73),
        ("velocity_only", 0.27, None),
        ("velocity_only_slow", 0.34, None),
    ],
)
@pytest.mark.slow
def test_golden_overlaps(large_digits, name, frames_overlap, always_overlap):
    overlap = render(recipe(name, frames=16, size=64, patch=28), large_digits, count=3000, seed=1)[
        2
    ]["overlap"]
    tolerance = 0.02  # three standard errors of 3000 clips
    assert overlap.mean() == pytest.approx(frames_overlap, abs=tolerance)
    if always_overlap is not None:
        assert overlap.all(1).mean() == pytest.approx(always_overlap, abs=1.5 * tolerance)


def test_labels_are_multi_hot_sets(digits):
    _, labels, factors = render(
        recipe("digits_only", frames=2, size=20, patch=8), digits, count=20000, seed=1
    )
    assert labels.dtype == np.uint8 and labels.max() == 1
    assert [tuple(np.flatnonzero(row)) for row in labels[:50]] == [
        tuple(sorted(set(pair))) for pair in factors["digit"][:50].tolist()
    ]
    assert (labels.sum(1) == 1).mean() == pytest.approx(0.10, abs=0.01)
    assert len(np.unique(labels, axis=0)) == 55
    assert labels.mean(0) == pytest.approx(np.full(10, 0.19), abs=0.02)
    assert np.array_equal(factors["label_set"], np.sort(factors["digit"], 1))


@pytest.mark.parametrize("name", versions("bouncing"))
def test_same_seed_same_bytes(digits, name):
    version = recipe(name, frames=5, size=20, patch=8)
    first, again, other = (
        render(version, digits, split="test", count=7, seed=seed) for seed in (1, 1, 2)
    )
    assert first[0].tobytes() == again[0].tobytes() and first[1].tobytes() == again[1].tobytes()
    assert all(first[2][factor].tobytes() == again[2][factor].tobytes() for factor in first[2])
    assert first[0].tobytes() != other[0].tobytes()


def test_splits_share_neither_digits_nor_trajectories(digits):
    version = recipe("digits_only", frames=2, size=20, patch=8)
    parts = [render(version, digits, split=split, count=2000, seed=1)[2] for split in SPLITS]
    for first, second in itertools.combinations(parts, 2):
        assert not set(first["digit_image"].ravel()) & set(second["digit_image"].ravel())
        pairs = [
            {
                (*start, angle)
                for start, angle in zip(
                    p["start"].reshape(-1, 2), p["direction_rad"].ravel(), strict=True
                )
            }
            for p in (first, second)
        ]
        assert len(pairs[0]) == 4000 and not pairs[0] & pairs[1]


def test_clips_match_across_versions(digits):
    made = [recipe(name, frames=4, size=20, patch=8, digits=2) for name in versions("bouncing")]
    first, *others = (
        render(version, digits, split="test", count=50, seed=1)[2] for version in made
    )
    for other, factor in itertools.product(
        others, ("digit_image", "digit", "start", "direction_rad")
    ):
        assert np.array_equal(first[factor], other[factor])


@pytest.mark.parametrize(
    ("name", "count"), [("one_digit", 1), ("digits_only", 2), ("three_digits", 3)]
)
def test_versions_show_as_many_digits_as_their_name_says(digits, name, count):
    _, labels, factors = render(recipe(name, frames=3, size=20, patch=8), digits, count=60, seed=1)
    assert factors["digit"].shape == (60, count) and labels.sum(1).max() == count
    assert recipe(name, frames=3, size=20, patch=8, digits=4).digits == 4


def test_factor_digit_image_names_the_drawn_image(digits):
    rendered = render_split(
        recipe("digits_only", frames=2, size=20, patch=8), digits, "validation", 30, 1
    )
    assert np.array_equal(rendered["patches"], digits.images[rendered["factors"]["digit_image"]])
    assert np.array_equal(
        rendered["factors"]["digit"], digits.labels[rendered["factors"]["digit_image"]]
    )


def test_every_image_is_used_before_any_comes_again():
    drawn = draw_digits(np.zeros(10), 25, np.random.default_rng(0))
    assert (
        sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10)) and len(set(drawn[20:])) == 5
    )


@pytest.mark.parametrize(("size", "patch", "side"), [(64, 28, 14), (20, 8, 4)])
def test_velocity_only_shows_two_equal_squares(digits, large_digits, size, patch, side):
    source = digits if patch == 8 else large_digits
    rendered = render_split(
        recipe("velocity_only", frames=16, size=size, patch=patch), source, "train", 200, 1
    )
    clips = rendered["clips"]
    overlap = rendered["factors"]["overlap"]
    assert set(np.unique(clips)) == {0, 255}
    lit = (clips > 0).sum((2, 3))
    assert (
        lit.min() >= side**2
        and np.all(lit[~overlap] == 2 * side**2)
        and np.all(lit[overlap] < 2 * side**2)
    )
    margin = (patch - side) // 2
    assert not clips[:, :, :margin].any() and not clips[:, :, -margin:].any()


def test_boxes_bound_the_lit_squares(digits):
    rendered = render_split(
        recipe("velocity_only", frames=8, size=20, patch=8, digits=1), digits, "train", 40, 1
    )
    for clip, boxes in zip(rendered["clips"], rendered["boxes"], strict=True):
        for frame, (top, left, bottom, right) in zip(clip, boxes[:, 0], strict=True):
            rows = np.flatnonzero(frame.any(1))
            columns = np.flatnonzero(frame.any(0))
            assert (top, left, bottom, right) == (
                rows[0],
                columns[0],
                rows[-1] + 1,
                columns[-1] + 1,
            )


@pytest.mark.parametrize("patch", range(4, 13))
def test_the_square_sits_in_the_middle_of_its_patch(patch):
    offset, side = square_patch(patch)
    assert side == patch // 2 and 0 <= patch - side - 2 * offset <= 1


def test_compose_is_a_maximum_over_moving_patches():
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (6, 3, 5, 5), np.uint8)
    corners = rng.integers(0, 12 - 5 + 1, (6, 4, 3, 2))
    expected = np.zeros((6, 4, 12, 12), np.uint8)
    for i, t, k in itertools.product(range(6), range(4), range(3)):
        top, left = corners[i, t, k]
        window = expected[i, t, top : top + 5, left : left + 5]
        np.maximum(window, patches[i, k], out=window)
    assert np.array_equal(compose(patches, corners, 12), expected)


def test_motion_scales_with_the_free_range(digits, large_digits):
    small = render_split(
        recipe("digits_and_velocity", frames=16, size=20, patch=8), digits, "train", 50, 1
    )["corners"]
    large = render_split(
        recipe("digits_and_velocity", frames=16, size=64, patch=28), large_digits, "train", 50, 1
    )["corners"]
    assert small.min() == 0 and small.max() == 12 and large.max() == 36
    assert np.array_equal(small, large // 3)  # both truncate the same share of 12 and of 36 pixels


def wall_free_speed(corners: np.ndarray, free_px: int) -> np.ndarray:
    """Speed along one axis from steps (n, T-1, k) that do not end at a wall; where there is none,
    the largest step.
    """
    steps = np.abs(np.diff(corners, axis=1))
    wall = np.isin(corners[:, 1:], (0, free_px))
    free = ~wall
    return np.where(free.any(1), (steps * free).sum(1) / np.maximum(free.sum(1), 1), steps.max(1))


@pytest.mark.parametrize(
    ("name", "naive_share"), [("velocity_only", 0.14), ("velocity_only_slow", 0.52)]
)
@pytest.mark.slow
def test_labels_can_be_read_from_the_boxes(large_digits, name, naive_share):
    version = recipe(name, frames=16, size=64, patch=28)
    rendered = render_split(version, large_digits, "test", 4000, 1)
    corners = rendered["boxes"][..., :2].astype(int) - square_patch(28)[0]

    def share_right(speed):
        label = np.clip(np.rint(speed / (version.step * version.free_px)) - 1, 0, 9)
        return (np.sort(label, 1) == rendered["factors"]["label_set"]).all(1).mean()

    assert (
        share_right(np.hypot(*(wall_free_speed(corners[..., axis], 36) for axis in range(2))))
        == 1.0
    )
    naive = np.hypot(*np.moveaxis(np.diff(corners, axis=1), -1, 0)).mean(1)
    assert share_right(naive) == pytest.approx(naive_share, abs=0.03)


def test_wall_hits_are_where_corners_touch_the_walls(digits):
    rendered = render_split(
        recipe("digits_and_velocity", frames=16, size=20, patch=8), digits, "train", 100, 1
    )
    hits = rendered["factors"]["wall_hits"]
    assert np.all(np.isin(rendered["corners"], (0, 12)).any(-1)[hits])


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("digits", {}, "unknown data set 'digits': choose one of digits_only"),
        ("digits_only", {"patch": 20}, "digit patch of 20 px does not fit"),
        ("digits_only", {"patch": 3}, "digit patch of 3 px does not fit"),
        ("digits_only", {"frames": 1}, "at least 2 frames, got 1"),
        ("digits_only", {"digits": 0}, "at least 1 digit, got 0"),
    ],
)
def test_impossible_recipes_are_named(name, options, problem):
    with pytest.raises(ValueError, match=problem):
        recipe(name, **{"frames": 16, "size": 20, "patch": 8} | options)


def test_images_must_have_the_size_of_the_patch(digits):
    with pytest.raises(ValueError, match=r"\(8, 8\), the recipe wants \(28, 28\)"):
        render(recipe("digits_only", frames=16, size=64, patch=28), digits, count=1, seed=1)


def test_render_needs_no_digits():
    clips, labels, factors = render(
        recipe("digits_only", frames=3, size=24, patch=10), count=4, seed=1
    )
    assert (
        clips.shape == (4, 3, 24, 24)
        and labels.shape == (4, 10)
        and factors["boxes"].shape == (4, 3, 2, 4)
    )


def test_file_holds_everything(tmp_path, digits):
    version = recipe("digits_and_velocity", frames=6, size=20, patch=8)
    rendered = render_split(version, digits, "test", 9, 1)
    attrs = {
        "dataset": "x",
        "split": "test",
        "seed": 1,
        "recipe": {"name": "x", "step": 0.1},
        "classes": list("abcdefghij"),
        "multi_label": True,
    }
    write_clips(tmp_path / "test.h5", rendered, attrs)
    with open_clips(tmp_path / "test.h5") as read:
        assert len(read) == 9 and read.attrs == attrs
        digest = hashlib.sha256(rendered["clips"][8].tobytes()).hexdigest()
        assert read.ids[8] == f"x/test/000008-{digest[:8]}" and len(set(read.ids)) == 9
        assert read.clips.chunks == (1, 6, 20, 20) and np.array_equal(
            read.clips[3:5], rendered["clips"][3:5]
        )
        assert np.array_equal(read.labels, rendered["labels"]) and np.array_equal(
            read.extras["boxes"][:], rendered["boxes"]
        )
        assert set(read.factors) == set(rendered["factors"])
        assert all(
            np.array_equal(read.factors[name], value) for name, value in rendered["factors"].items()
        )


def test_a_failed_write_leaves_nothing(tmp_path, digits):
    rendered = render_split(recipe("digits_only", frames=3, size=20, patch=8), digits, "test", 4, 1)
    with pytest.raises(TypeError):
        write_clips(tmp_path / "test.h5", rendered, {**ATTRS, "odd": object()})
    with pytest.raises(ValueError, match=r"test\.h5: labels has 3 rows for 4 clips"):
        write_clips(tmp_path / "test.h5", rendered | {"labels": rendered["labels"][:3]}, ATTRS)
    with pytest.raises(ValueError, match="clips must be uint8 from 0 to 255, got float32"):
        write_clips(
            tmp_path / "test.h5", rendered | {"clips": rendered["clips"].astype(np.float32)}, ATTRS
        )
    assert not list(tmp_path.iterdir())


def test_other_files_are_not_clips(tmp_path):
    (tmp_path / "text.h5").write_text("text")
    with (
        pytest.raises(ValueError, match=r"text\.h5: not a readable HDF5 file"),
        open_clips(tmp_path / "text.h5"),
    ):
        pass
    h5py.File(tmp_path / "empty.h5", "w").close()
    with (
        pytest.raises(ValueError, match=r"empty\.h5: not a file of clips"),
        open_clips(tmp_path / "empty.h5"),
    ):
        pass
    with (
        pytest.raises(FileNotFoundError, match=r"none\.h5: no such file"),
        open_clips(tmp_path / "none.h5"),
    ):
        pass


def test_script_repeats_its_bytes_and_names_bad_input(tmp_path, digits):
    write_digits(digits, tmp_path / "digits.npz")
    config = {"video": {"frames": 4, "size_px": 20, "patch_px": 8}, "clips": {}}
    definition = data_set("velocity_only", config).definition()
    command = [sys.executable, SCRIPTS / "render_dataset.py", "--split", "test", "--count", "5"]
    command += ["--seed", "1", "--digits", tmp_path / "digits.npz"]
    for name in ("a.h5", "b.h5"):
        arguments = ["--definition", json.dumps(definition), "--output", tmp_path / name]
        subprocess.run([*command, *arguments], check=True)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with open_clips(tmp_path / "a.h5") as read:
        assert read.clips.shape == (5, 4, 20, 20)
        assert (
            read.attrs["digit_source"] == "sklearn" and read.attrs["digit_sha256"] == digits.sha256
        )
        assert read.attrs["recipe"]["name"] == "velocity_only" and read.attrs["multi_label"] is True
    definition["recipe"]["patch"] = 30
    arguments = ["--definition", json.dumps(definition), "--output", tmp_path / "c.h5"]
    bad = subprocess.run([*command, *arguments], capture_output=True, text=True)
    assert (
        bad.returncode == 1
        and bad.stderr.startswith("error: digit patch of 30 px")
        and bad.stderr.count("\n") == 1
    )
    assert not (tmp_path / "c.h5").exists()
