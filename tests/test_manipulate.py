"""Manipulated clips: the right frames in the right places, and the flow that belongs to them."""

import csv
import json
import runpy
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from vidrep.activations import CONTROLS
from vidrep.activations.manipulate import ORDERS, control_scores, frame_order, load_manipulated
from vidrep.clip_scores import means, read_clip_scores
from vidrep.datasets.recipes import recipe
from vidrep.datasets.render import render
from vidrep.datasets.store import write_clips
from vidrep.flow.estimate import estimate_flow
from vidrep.flow.exact import exact_flow
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.readouts import mean_average_precision
from vidrep.training.loop import evaluate
from vidrep.training.run import write_run

ROOT = Path(__file__).parent.parent
CLIPS = 10
FRAMES = 8


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """What is in a small file of bouncing digits, and its path."""
    source = recipe("digits_and_velocity", frames=FRAMES, size=16, patch=8)
    clips, labels, _ = render(source, count=CLIPS, seed=0)
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 8, (CLIPS, FRAMES, 2, 2))
    patches = rng.integers(0, 256, (CLIPS, 2, 8, 8), dtype=np.uint8)
    path = tmp_path_factory.mktemp("own") / "own" / "test.h5"
    path.parent.mkdir()
    arrays = {"clips": clips, "labels": labels, "corners": corners, "patches": patches}
    write_clips(
        path,
        {**arrays, "factors": {}},
        {"dataset": "own", "split": "test", "multi_label": True, "classes": list("abcdefghij")},
    )
    return path, arrays


def test_controls_are_those_that_the_configuration_offers():
    assert list(CONTROLS) == list(ORDERS)


@pytest.mark.parametrize("frames", [2, 3, 16])
def test_shuffles_are_permutations_that_change_every_clip(frames):
    order = frame_order("shuffled", 500, frames, seed=0)
    own = np.arange(frames)
    assert (np.sort(order, axis=1) == own).all()
    assert (order != own).any(1).all(), (
        "chance alone would leave half of the two-frame clips as they are"
    )
    if frames > 2:
        assert len(np.unique(order, axis=0)) > 4, "each clip has its own order"
    # how often each frame lands at each time
    places = np.stack([(order == frame).mean(0) for frame in own])
    if frames == 16:
        assert abs(places - 1 / 16).max() < 0.06  # 5 standard deviations of a share of 500


def test_a_clip_keeps_its_shuffle_whatever_the_number_of_clips():
    assert np.array_equal(
        frame_order("shuffled", 5, 8, seed=0), frame_order("shuffled", 50, 8, seed=0)[:5]
    )
    assert not np.array_equal(
        frame_order("shuffled", 5, 8, seed=0), frame_order("shuffled", 5, 8, seed=1)
    )


def test_unknown_controls_are_named():
    with pytest.raises(
        ValueError,
        match="unknown control 'mirrored': choose one of shuffled, reversed, frozen, one_frame",
    ):
        frame_order("mirrored", 2, 8, seed=0)


def expected_frames(control: str) -> np.ndarray:
    """(n, T) the frame shown at each time, -1 for black; written down by hand for 8 frames."""
    if control == "shuffled":
        return frame_order("shuffled", CLIPS, FRAMES, seed=3)
    rows = {
        "reversed": [7, 6, 5, 4, 3, 2, 1, 0],
        "frozen": [4] * 8,
        "one_frame": [-1, -1, -1, -1, 4, -1, -1, -1],
    }
    return np.array([rows[control]] * CLIPS)


@pytest.mark.parametrize("control", ORDERS)
def test_frames_stand_where_they_should(content, control):
    path, arrays = content
    split = load_manipulated(path, control, flows={}, seed=3)
    assert split.flow is None and split.ids[9].startswith("own/test/000009-")
    assert np.array_equal(split.labels, arrays["labels"])
    for clip, shown, row in zip(
        arrays["clips"], split.clips.numpy(), expected_frames(control), strict=True
    ):
        for frame, source in zip(shown, row, strict=True):
            assert np.array_equal(frame, clip[source] if source >= 0 else np.zeros_like(frame))


def flow_by_hand(patches: np.ndarray, corners: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Exact flow (n, T-1, 2, 16, 16), pixel by pixel: the brighter patch moves, of equals the
    first.
    """
    flow = np.zeros((CLIPS, FRAMES - 1, 2, 16, 16))
    for clip in range(CLIPS):
        for t in range(FRAMES - 1):
            here = corners[clip, order[clip, t]]
            there = corners[clip, order[clip, t + 1]]
            brightest = np.zeros((16, 16))
            for digit in range(2):
                for (i, j), light in np.ndenumerate(patches[clip, digit]):
                    y, x = here[digit] + (i, j)
                    if light > brightest[y, x]:
                        brightest[y, x] = light
                        flow[clip, t, :, y, x] = (there[digit] - here[digit])[::-1]
    return flow


@pytest.mark.parametrize("control", ORDERS)
def test_exact_flow_leads_from_each_shown_place_to_the_next(content, control):
    path, arrays = content
    split = load_manipulated(path, control, flows={"flow": "true"}, seed=3)
    assert split.flow.shape == (CLIPS, FRAMES - 1, 2, 16, 16) and split.flow.dtype == torch.float16
    if control in ("frozen", "one_frame"):
        assert not split.flow.any()
    else:
        assert np.array_equal(
            split.flow, flow_by_hand(arrays["patches"], arrays["corners"], expected_frames(control))
        )


def test_reversed_flow_is_not_the_flow_in_reverse(content):
    """Played backwards, digits start where they used to arrive."""
    path, arrays = content
    turned = load_manipulated(path, "reversed", flows={"flow": "true"}, seed=3).flow.numpy()
    forward = exact_flow(arrays["patches"], arrays["corners"], 16)
    assert not np.array_equal(turned, -forward[:, ::-1]) and turned.any()


def test_backward_flow_of_reversed_clips_is_the_forward_flow_in_reverse(content):
    path, arrays = content
    split = load_manipulated(path, "reversed", flows={"flow_backward": "true_backward"}, seed=3)
    assert split.flow is None
    assert np.array_equal(
        split.flow_backward, exact_flow(arrays["patches"], arrays["corners"], 16)[:, ::-1]
    )


@pytest.mark.parametrize("control", ORDERS)
def test_estimated_flow_is_that_of_the_manipulated_frames(content, control):
    path, _ = content
    split = load_manipulated(path, control, flows={"flow": "dis"}, seed=3)
    assert np.array_equal(split.flow, estimate_flow(split.clips.numpy(), "dis"))
    moving = split.flow.numpy().any((0, 2, 3, 4))  # which of the 7 fields move in some clip
    # the frame appears, then goes
    expected = {"frozen": [False] * 7, "one_frame": [False] * 3 + [True] * 2 + [False] * 2}
    assert moving.tolist() == expected.get(control, [True] * 7)


def test_colour_clips_are_manipulated_alike(tmp_path):
    clips = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 5, 3), dtype=np.uint8)
    content = {"clips": clips, "labels": np.eye(3, dtype=np.uint8), "factors": {}}
    write_clips(
        tmp_path / "test.h5",
        content,
        {"dataset": "own", "split": "test", "multi_label": False, "classes": list("abc")},
    )
    split = load_manipulated(tmp_path / "test.h5", "one_frame", flows={}, seed=0)
    assert np.array_equal(split.clips[:, 2], clips[:, 2]) and not split.clips[:, [0, 1, 3]].any()
    with pytest.raises(ValueError, match="no flow 'true' without patches, corners"):
        load_manipulated(tmp_path / "test.h5", "reversed", flows={"flow": "true"}, seed=0)


@pytest.fixture
def tiny_run(content, tiny_system, tmp_path):
    """A two-stream run with random weights in files, its objective, and its data set file."""
    path, arrays = content
    definition = tiny_system("two_stream_exact_narrow").definition()
    shape = DataShape((1, FRAMES, 16, 16), arrays["labels"].shape[1], True)
    torch.manual_seed(0)
    objective = build(definition, shape).eval()
    record = {"system": definition, "dataset": "own", "seed": 0, "experiment_seed": 3}
    record["data_shape"] = {"clip": list(shape.clip), "classes": shape.classes, "multi_label": True}
    write_run(tmp_path / "run", objective, [], record)
    return tmp_path / "run", objective, path


def test_scores_are_those_of_the_manipulated_split(tiny_run, cpu):
    _, objective, path = tiny_run
    found = control_scores(
        objective, path, ["reversed", "frozen"], flows={"flow": "true"}, seed=3, device=cpu
    )
    assert list(found) == ["test_reversed", "test_frozen"]
    for control in ("reversed", "frozen"):
        expected = evaluate(
            objective, load_manipulated(path, control, flows={"flow": "true"}, seed=3), cpu
        )
        told = means(found[f"test_{control}"])
        assert {name: told[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    assert control_scores(objective, path, [], flows={"flow": "true"}, seed=3, device=cpu) == {}


def test_runs_are_scored_so_on_their_own_data_set_alone(tiny_run, tmp_path, monkeypatch, cpu):
    folder, objective, own = tiny_run
    other = tmp_path / "other" / "test.h5"
    other.parent.mkdir()
    other.write_bytes(own.read_bytes())
    with h5py.File(other, "a") as file:
        file.attrs["dataset"] = "other"
    files = [str(own), str(other)]
    for path in (own, other):
        flow = path.parent / "true.zarr"
        monkeypatch.setattr(
            sys,
            "argv",
            ["compute_flow.py", "--clips", str(path), "--method", "true", "--output", str(flow)],
        )
        runpy.run_path(str(ROOT / "scripts/compute_flow.py"), run_name="__main__")
    splits_with_flow = [f"{path},flow={Path(path).parent / 'true.zarr'}" for path in files]
    command = [
        "extract.py",
        "--runs",
        str(folder),
        "--test",
        *splits_with_flow,
        "--fit",
        *splits_with_flow,
    ]
    command += [
        "--rows",
        "4",
        "--fit-rows",
        "4",
        "--pooling",
        "none",
        "--threads",
        "1",
        "--controls",
        "shuffled",
        "frozen",
    ]
    command += ["--stores", *[str(tmp_path / f"{name}.zarr") for name in "ab"]]
    command += ["--scores", *[str(tmp_path / f"{name}.csv") for name in "ab"]]
    command += ["--clip-scores", *[str(tmp_path / f"{name}.npz") for name in "ab"]]
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(str(ROOT / "scripts/extract.py"), run_name="__main__")

    def splits(name: str) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        with open(tmp_path / f"{name}.csv", newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["split"], {})[row["metric"]] = float(row["value"])
        return found

    scores = splits("a")
    assert list(scores) == ["test", "test_shuffled", "test_frozen"] and list(splits("b")) == [
        "test"
    ]
    seed = json.loads((folder / "run.json").read_text())["experiment_seed"]
    expected = evaluate(
        objective, load_manipulated(own, "shuffled", flows={"flow": "true"}, seed=seed), cpu
    )
    readouts = {"exact_set_map", "mean_average_precision"}
    told = {name: value for name, value in scores["test_shuffled"].items() if name not in readouts}
    assert told == pytest.approx(expected, rel=1e-6)
    assert scores["test"] != scores["test_shuffled"]
    assert readouts < scores["test"].keys() and readouts < splits("b")["test"].keys()
    of_clips = read_clip_scores(tmp_path / "a.npz")
    for split, by_metric in scores.items():
        for metric in by_metric.keys() - {"mean_average_precision"}:
            value = by_metric[metric]
            each = of_clips.of(metric, split)
            assert len(each) == len(of_clips.ids)
            assert each.mean(dtype=float) == value
        precision = mean_average_precision(of_clips.of("probabilities", split), of_clips.labels)
        assert precision == by_metric["mean_average_precision"]
