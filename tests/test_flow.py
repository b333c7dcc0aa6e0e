"""Flow: the truth against pixels and plain loops, estimators on known motion, files, errors,
colours.
"""

import csv
import itertools
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import zarr

from vidrep.datasets.recipes import recipe, versions
from vidrep.datasets.render import render_split
from vidrep.datasets.store import write_clips
from vidrep.digits.source import load_digits
from vidrep.flow import FLOWS, store
from vidrep.flow.colour import colour_flow, colour_wheel
from vidrep.flow.error import endpoint_error, summarise_error
from vidrep.flow.estimate import METHODS, WORK_SIDE, estimate_flow
from vidrep.flow.exact import exact_flow
from vidrep.flow.methods import flow_of_clips, needed_arrays
from vidrep.flow.store import SHARD, blocks, open_flow, write_flow

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture(scope="module")
def digits():
    return load_digits({"kind": "sklearn"}, patch=8, seed=1)


def rendered_with_flow(source, name: str, count: int = 30, **options) -> tuple[dict, np.ndarray]:
    rendered = render_split(
        recipe(name, frames=10, size=20, patch=8, **options), source, "test", count, 1
    )
    return rendered, exact_flow(rendered["patches"], rendered["corners"], 20)


def flow_slowly(patches: np.ndarray, corners: np.ndarray, size: int) -> np.ndarray:
    """Pixel by pixel: who is brightest here, and where does it go?"""
    n, frames, digits, _ = corners.shape
    side = patches.shape[-1]
    flow = np.zeros((n, frames - 1, 2, size, size), np.float16)
    for i, t, y, x in itertools.product(range(n), range(frames - 1), range(size), range(size)):
        brightest = 0
        for k in range(digits):
            row = y - corners[i, t, k, 0]
            column = x - corners[i, t, k, 1]
            if 0 <= row < side and 0 <= column < side and patches[i, k, row, column] > brightest:
                brightest = patches[i, k, row, column]
                down, right = corners[i, t + 1, k] - corners[i, t, k]
                flow[i, t, :, y, x] = right, down
    return flow


@pytest.mark.parametrize(
    ("name", "digits_per_clip"),
    [("digits_and_velocity", 2), ("velocity_only", 2), ("digits_only", 3)],
)
def test_true_flow_agrees_with_a_loop_over_pixels(digits, name, digits_per_clip):
    rendered, flow = rendered_with_flow(digits, name, count=3, digits=digits_per_clip)
    assert rendered["factors"]["overlap"].any()
    assert flow.dtype == np.float16
    assert np.array_equal(flow, flow_slowly(rendered["patches"], rendered["corners"], 20))


@pytest.mark.parametrize("name", versions("bouncing"))
def test_next_frame_warped_back_repeats_this_frame(digits, name):
    rendered, flow = rendered_with_flow(digits, name, count=200)  # three digits are rarely apart
    clips = rendered["clips"]
    moving = flow.any(2)
    apart = ~(rendered["factors"]["overlap"][:, :-1] | rendered["factors"]["overlap"][:, 1:])
    clip, frame, y, x = np.nonzero(moving & apart[:, :, None, None])
    right, down = flow[clip, frame, :, y, x].astype(int).T
    assert len(clip) > 300
    assert np.array_equal(clips[clip, frame + 1, y + down, x + right], clips[clip, frame, y, x])


def test_support_is_the_lit_pixels_of_moving_digits(digits):
    rendered, flow = rendered_with_flow(digits, "velocity_only")
    lit = rendered["clips"][:, :-1] > 0
    moving = flow.any(2)
    assert not moving[~lit].any()
    # (n, T-1): a digit stays in its pixel
    still = ~np.diff(rendered["corners"], axis=1).any(-1).all(-1)
    assert np.array_equal(moving[~still], lit[~still])


def test_first_channel_is_to_the_right_and_second_down():
    patches = np.full((1, 1, 4, 4), 9, np.uint8)
    # (top, left): right by 3, then down by 5
    corners = np.array([[0, 0], [0, 3], [5, 3]])[None, :, None]
    flow = exact_flow(patches, corners, 12)
    assert flow[0, 0, :, 0, 0].tolist() == [3, 0] and flow[0, 1, :, 0, 3].tolist() == [0, 5]


# --- All methods by name. ---


def test_methods_by_name(digits):
    rendered, truth = rendered_with_flow(digits, "digits_only", count=3)
    arrays = (rendered["clips"], rendered["patches"], rendered["corners"])
    assert np.array_equal(flow_of_clips("true", *arrays), truth)
    for method in METHODS:
        assert np.array_equal(
            flow_of_clips(method, rendered["clips"]), estimate_flow(rendered["clips"], method)
        )
    assert set(FLOWS) == {
        name + suffix for name in ("true", "true_box", *METHODS) for suffix in ("", "_backward")
    }
    assert [needed_arrays(name) for name in ("dis_backward", "true_box_backward")] == [
        (),
        ("patches", "corners"),
    ]


def test_box_flow_is_that_of_the_version_that_hides_the_digits(digits):
    """Same digits, same motion, other shapes: the flow must not tell them apart."""
    shown, _ = rendered_with_flow(digits, "digits_and_velocity")
    hidden, truth = rendered_with_flow(digits, "velocity_only")
    box = flow_of_clips("true_box", shown["clips"], shown["patches"], shown["corners"])
    assert np.array_equal(shown["corners"], hidden["corners"]) and shown["factors"]["overlap"].any()
    assert np.array_equal(box, truth) and not np.array_equal(
        box, rendered_with_flow(digits, "digits_and_velocity")[1]
    )


@pytest.mark.parametrize("name", ["digits_and_velocity", "velocity_only_slow"])
def test_backward_flow_leads_back_to_the_frame_before(digits, name):
    rendered, _ = rendered_with_flow(digits, name)
    clips = rendered["clips"]
    backward = flow_of_clips("true_backward", clips, rendered["patches"], rendered["corners"])
    assert (
        backward.shape == (30, 9, 2, 20, 20)
        and backward.dtype == np.float16
        and backward.flags["C_CONTIGUOUS"]
    )
    apart = ~(rendered["factors"]["overlap"][:, :-1] | rendered["factors"]["overlap"][:, 1:])
    clip, frame, y, x = np.nonzero(backward.any(2) & apart[:, :, None, None])
    right, down = backward[clip, frame, :, y, x].astype(int).T
    assert len(clip) > 1000 and (clips[clip, frame + 1, y, x] > 0).all(), (
        "it lies where things are in the later frame"
    )
    assert np.array_equal(clips[clip, frame, y + down, x + right], clips[clip, frame + 1, y, x])


@pytest.mark.parametrize("method", METHODS)
def test_estimated_backward_flow_is_that_of_the_reversed_clip(digits, method):
    shift = (2, -1)
    clips = np.stack([texture(40, 44, t * shift[0], t * shift[1]) for t in range(4)])[None]
    backward = flow_of_clips(f"{method}_backward", clips)
    assert np.array_equal(backward[:, 2], estimate_flow(clips[:, [3, 2]], method)[:, 0])
    inner = backward[..., 8:-8, 8:-8].astype(np.float32)
    assert np.median(inner[:, :, 0]) == pytest.approx(-2, abs=0.02) and np.median(
        inner[:, :, 1]
    ) == pytest.approx(1, abs=0.02)


def test_methods_that_do_not_exist_or_lack_something():
    clips = np.zeros((1, 3, 20, 20), np.uint8)
    with pytest.raises(
        ValueError,
        match=(
            "unknown flow method 'raft_backward': choose one of true, true_box, dis, farneback,"
            " true_b"
        ),
    ):
        flow_of_clips("raft_backward", clips)
    with pytest.raises(ValueError, match="no flow 'true_backward' without patches, corners"):
        flow_of_clips("true_backward", clips)


# --- Estimators. ---


def texture(height: int, width: int, right: float, down: float) -> np.ndarray:
    """A smooth grey pattern moved by (right, down) pixels."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x = x - right
    y = y - down
    waves = (
        np.sin(x / 2.9) + np.sin(y / 3.7 + 1) + np.sin((x + y) / 4.3) + np.cos((x - 2 * y) / 7.1)
    )
    return np.rint(127.5 + 30 * waves).astype(np.uint8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("height", "width"), [(20, 20), (24, 50), (64, 64)])
def test_estimators_recover_a_shift_of_smooth_texture(method, height, width):
    shift = (2, -1)
    clips = np.stack([texture(height, width, t * shift[0], t * shift[1]) for t in range(4)])[None]
    flow = estimate_flow(clips, method)
    assert flow.shape == (1, 3, 2, height, width) and flow.dtype == np.float16
    # what enters at the border cannot be matched, and disturbs its surroundings
    inner = flow[..., 5:-5, 5:-5].astype(np.float32)
    error = np.hypot(inner[:, :, 0] - shift[0], inner[:, :, 1] - shift[1])
    # there Farneback finds smooth motion a tenth too short
    enlarged = min(height, width) < WORK_SIDE
    assert np.median(error) < (0.25 if enlarged and method == "farneback" else 0.02)


@pytest.mark.parametrize("method", METHODS)
def test_estimates_of_slow_digits_beat_standing_still_by_far(digits, method):
    rendered, truth = rendered_with_flow(digits, "digits_only")
    estimate = estimate_flow(rendered["clips"], method)
    assert np.array_equal(estimate, estimate_flow(rendered["clips"], method))
    assert (
        summarise_error([(truth, estimate)])["epe_px"]
        < 0.3 * summarise_error([(truth, 0 * truth)])["epe_px"]
    )


@pytest.mark.parametrize("method", METHODS)
def test_colour_clips_are_estimated_in_grey(method):
    grey = np.stack([texture(48, 48, 2 * t, 0) for t in range(3)])[None]
    assert np.array_equal(
        estimate_flow(np.repeat(grey[..., None], 3, -1), method), estimate_flow(grey, method)
    )


def test_unknown_method_is_named():
    with pytest.raises(
        ValueError, match="unknown flow method 'raft': choose one of dis, farneback"
    ):
        estimate_flow(np.zeros((1, 2, 20, 20), np.uint8), "raft")


def test_estimators_use_one_thread():
    estimate_flow(np.zeros((1, 2, 20, 20), np.uint8), "dis")
    assert cv2.getNumThreads() == 1


def test_store_round_trip_in_few_files(tmp_path):
    n = SHARD + 40
    flow = np.random.default_rng(0).normal(size=(n, 2, 2, 6, 6)).astype(np.float16)
    for name in ("a.zarr", "b.zarr"):
        write_flow(
            tmp_path / name,
            (flow[block] for block in blocks(n)),
            flow.shape,
            {"method": "true", "split": "test"},
        )
    read = open_flow(tmp_path / "a.zarr")
    assert read.flow.shape == flow.shape and read.flow.dtype == np.float16
    assert np.array_equal(read.flow[:], flow) and np.array_equal(read.flow[500:530], flow[500:530])
    assert (read.attrs["method"], read.attrs["unit"], read.attrs["channels"]) == (
        "true",
        "px",
        ["x", "y"],
    )
    files = sorted(
        path.relative_to(tmp_path / "a.zarr")
        for path in (tmp_path / "a.zarr").rglob("*")
        if path.is_file()
    )
    assert len(files) == 4  # two descriptions, two shards
    assert all(
        (tmp_path / "a.zarr" / file).read_bytes() == (tmp_path / "b.zarr" / file).read_bytes()
        for file in files
    )


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        (np.zeros((3, 2, 2, 6, 5)), "has shape"),
        (np.zeros((2, 2, 2, 6, 6)), "has shape"),
        (np.full((3, 2, 2, 6, 6), 1e6), "not finite in float16"),
        (np.full((3, 2, 2, 6, 6), np.nan), "not finite in float16"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_store_is_written_whole_or_not_at_all(tmp_path, field, problem):
    with pytest.raises(ValueError, match=problem):
        write_flow(tmp_path / "f.zarr", [field], (3, 2, 2, 6, 6), {})
    assert not list(tmp_path.iterdir())


def test_other_things_are_not_flow(tmp_path):
    (tmp_path / "file.zarr").write_text("text")
    zarr.create_group(tmp_path / "empty.zarr")
    for name in ("none.zarr", "file.zarr", "empty.zarr"):
        with pytest.raises(ValueError, match=f"{name}: not a store of flow"):
            open_flow(tmp_path / name)


def test_endpoint_error_counts_moving_pixels_only():
    truth = np.zeros((1, 1, 2, 2, 2))
    estimate = np.full((1, 1, 2, 2, 2), 7.0)
    truth[0, 0, :, 0, 0], estimate[0, 0, :, 0, 0] = (3, 0), (0, 4)  # 5 px off
    truth[0, 0, :, 1, 1], estimate[0, 0, :, 1, 1] = (0, -2), (0, -1)  # 1 px off
    error = endpoint_error(truth, estimate)
    np.testing.assert_allclose(error[0, 0], [[5, np.nan], [np.nan, 1]])
    assert summarise_error([(truth, estimate), (truth, truth)]) == {
        "epe_px": 1.5,
        "epe_px_median": 0.5,
        "moving_pixels": 4,
    }
    assert summarise_error([])["moving_pixels"] == 0
    with pytest.raises(ValueError, match="true flow has shape"):
        endpoint_error(truth, estimate[..., :1])


def test_colours_tell_direction_and_length():
    # (2, 1, 5)
    vectors = np.array([[0, 0], [8, 0], [4, 0], [-8, 0], [16, 0]], np.float16).T[:, None]
    still, right, half, left, beyond = colour_flow(vectors, 8)[0].astype(int)
    assert still.tolist() == [255, 255, 255] and right.tolist() == [255, 0, 0]
    assert half.tolist() == [255, 128, 128] and beyond.tolist() == [191, 0, 0]
    assert left[0] == 0 and left[1:].min() > 100  # cyan
    wheel = colour_wheel(41)
    assert wheel.shape == (41, 41, 3) and wheel.dtype == np.uint8
    assert wheel[20, 40].tolist() == [255, 0, 0] and wheel[20, 20].tolist() == wheel[
        0, 0
    ].tolist() == [255, 255, 255]
    with pytest.raises(ValueError, match="max_px must be positive"):
        colour_flow(vectors, 0)


def run_script(name: str, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True
    )


@pytest.mark.slow
def test_scripts_write_flow_and_its_error(tmp_path, digits):
    rendered, truth = rendered_with_flow(digits, "digits_only", count=6)
    attrs = {"dataset": "digits_only", "split": "test", "recipe": {}, "multi_label": True}
    attrs["classes"] = list("0123456789")
    write_clips(tmp_path / "test.h5", rendered, attrs)
    for method in ("true", "true_box_backward", *METHODS):
        arguments = (
            "--clips",
            tmp_path / "test.h5",
            "--method",
            method,
            "--output",
            tmp_path / f"{method}.zarr",
        )
        assert not run_script("compute_flow.py", *arguments).returncode
        expected = flow_of_clips(
            method, rendered["clips"], rendered["patches"], rendered["corners"]
        )
        assert np.array_equal(open_flow(tmp_path / f"{method}.zarr").flow[:], expected)
        assert open_flow(tmp_path / f"{method}.zarr").attrs["method"] == method
    assert np.array_equal(open_flow(tmp_path / "true.zarr").flow[:], truth)
    stores = [tmp_path / f"{method}.zarr" for method in METHODS]
    truths = [tmp_path / "true.zarr"] * len(stores)
    assert not run_script(
        "flow_error.py", "--truth", *truths, "--estimate", *stores, "--output", tmp_path / "e.csv"
    ).returncode
    rows = list(csv.DictReader((tmp_path / "e.csv").open()))
    assert [row["method"] for row in rows] == [*METHODS, "zero"]
    assert {row["dataset"] for row in rows} == {"digits_only"}
    *rows, zero = rows
    lengths = np.hypot(*np.moveaxis(truth.astype(float), 2, 0))
    assert float(zero["epe_px"]) == pytest.approx(lengths[truth.any(2)].mean(), rel=1e-5)
    assert all(
        0 < float(row["epe_px"]) < 1 and int(row["moving_pixels"]) == truth.any(2).sum()
        for row in rows
    )

    bad = run_script(
        "flow_error.py",
        "--truth",
        *truths,
        "--estimate",
        stores[0],
        "--output",
        tmp_path / "bad.csv",
    )
    assert (
        bad.returncode == 1
        and bad.stderr == "error: 2 true flows for 1 estimates: give one truth for each\n"
    )
    write_clips(
        tmp_path / "real.h5", {key: rendered[key] for key in ("clips", "labels", "factors")}, attrs
    )
    bad = run_script(
        "compute_flow.py",
        "--clips",
        tmp_path / "real.h5",
        "--method",
        "true",
        "--output",
        tmp_path / "bad.zarr",
    )
    assert bad.returncode == 1 and bad.stderr.endswith(
        "real.h5: no flow 'true' without corners, patches\n"
    )
    assert not (tmp_path / "bad.zarr").exists() and not (tmp_path / "bad.csv").exists()


def test_large_clips_are_packed_one_by_one():
    """Batches of clips in random order must not unpack many others."""
    assert store._chunk((15, 2, 20, 20)) == 16
    assert store._chunk((15, 2, 64, 64)) == 2
    assert store._chunk((15, 2, 224, 224)) == 1
