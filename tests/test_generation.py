"""Drawn frames: their scores against independent formulas, the trivial predictors, the verdict, the
files, and the animation.
"""

import importlib.util
import json
import os
import sys
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from vidrep import frame_errors
from vidrep.datasets.bouncing import render
from vidrep.datasets.recipes import BouncingRecipe
from vidrep.datasets.store import write_clips
from vidrep.digits.source import load_digits
from vidrep.generation import baselines, generate, metrics, scores, verdict
from vidrep.objectives.base import Objective
from vidrep.objectives.build import build
from vidrep.random_streams import stream
from vidrep.report import generation_animation, prediction
from vidrep.report.generation import generation_figure
from vidrep.report.style import looks
from vidrep.report.writing import webp
from vidrep.statistics import student_interval
from vidrep.systems import system
from vidrep.tables import join
from vidrep.training.run import write_run

OBSERVED = 5
MEAN = torch.full((1, 8, 16, 16), 0.1)  # mean training frames


class Painter(Objective):
    """Draws a constant grey, or whatever else ``frames`` says, in the place of each part."""

    generates = True

    def __init__(self, shape, grey=0.25, parts=generate.PARTS, **extras) -> None:
        super().__init__(nn.Identity(), shape)
        self.grey = grey
        self.parts = parts
        self.extras = extras
        self.observed = OBSERVED

    def generate(self, batch):
        truth = generate.split_parts(batch["clip"], self.observed)
        return {part: torch.full_like(truth[part], self.grey) for part in self.parts} | self.extras


class Oracle(Painter):
    """Draws the truth, a little dark."""

    def generate(self, batch):
        return {
            part: 0.9 * truth
            for part, truth in generate.split_parts(batch["clip"], self.observed).items()
        }


# --- Scores of single frames. ---


def slow_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """SSIM of two pictures (H, W), window by window."""
    found = []
    for i in range(x.shape[0] - 6):
        for j in range(x.shape[1] - 6):
            a = x[i : i + 7, j : j + 7].ravel()
            b = y[i : i + 7, j : j + 7].ravel()
            (var_a, cov), (_, var_b) = np.cov(a, b)
            numerator = (2 * a.mean() * b.mean() + 1e-4) * (2 * cov + 9e-4)
            denominator = (a.mean() ** 2 + b.mean() ** 2 + 1e-4) * (var_a + var_b + 9e-4)
            found.append(numerator / denominator)
    return float(np.mean(found))


@pytest.mark.parametrize("channels", [1, 3])
def test_scores_of_frames_are_those_of_slow_formulas(channels):
    rng = np.random.default_rng(0)
    generated, truth = rng.random((2, 2, channels, 3, 10, 9)).astype(np.float32)
    found = metrics.frame_scores(torch.from_numpy(generated), torch.from_numpy(truth))
    for b in range(2):
        for k in range(3):
            x = generated[b, :, k].astype(float)
            y = truth[b, :, k].astype(float)
            pairs = list(zip(x.ravel(), y.ravel(), strict=True))
            square = sum((p - q) ** 2 for p, q in pairs)
            expected = {
                "squared_error_per_frame": square,
                "squared_error_per_pixel": square / x.size,
                "absolute_error_per_frame": sum(abs(p - q) for p, q in pairs),
                "psnr_db": 10 * np.log10(x.size / square),
                "nats_per_frame": -sum(q * np.log(p) + (1 - q) * np.log(1 - p) for p, q in pairs),
                "ssim": np.mean([slow_ssim(x[c], y[c]) for c in range(channels)]),
            }
            of_frame = {name: values[b, k].item() for name, values in found.items()}
            assert of_frame == pytest.approx(expected, rel=1e-4)


def test_perfect_and_hopeless_frames_have_finite_scores():
    black = torch.zeros(1, 1, 1, 8, 8)
    white = torch.ones(1, 1, 1, 8, 8)
    perfect = metrics.frame_scores(white, white)
    hopeless = metrics.frame_scores(black, white)
    assert perfect["psnr_db"].item() == pytest.approx(metrics.MAX_PSNR_DB)
    assert perfect["ssim"].item() == pytest.approx(1)
    assert hopeless["psnr_db"].item() == 0
    assert hopeless["ssim"].item() == pytest.approx(0, abs=1e-3)
    nats = -64 * np.log(frame_errors.MARGIN)
    assert hopeless["nats_per_frame"].item() == pytest.approx(nats, rel=1e-5)


def test_small_frames_have_no_ssim():
    frames = torch.zeros(1, 1, 2, 6, 8)
    assert "ssim" not in metrics.frame_scores(frames, frames)


# --- Baselines. ---


def test_baselines_are_what_they_are_called():
    clip = torch.rand(2, 3, 8, 9, 9)
    mean_frames = torch.rand(3, 3, 9, 9)
    mean = mean_frames.mean(1, keepdim=True)
    seen, future = generate.split_parts(clip, OBSERVED).values()
    found = {
        name: baselines.baseline_frames(name, seen, future, mean, mean_frames)
        for name in baselines.BASELINES[:-1]
    }
    assert all(frames.shape == future.shape for frames in found.values())
    for t in range(3):
        assert not found["black"][:, :, t].any()
        assert torch.equal(found["repeat_last"][:, :, t], clip[:, :, 4])
        torch.testing.assert_close(
            found["mean_of_inputs"][:, :, t], sum(clip[:, :, i] for i in range(5)) / 5
        )
        assert torch.equal(found["mean_frame"][1, :, t], mean[:, 0])
        assert torch.equal(found["mean_per_horizon"][1, :, t], mean_frames[:, t])
        torch.testing.assert_close(found["half_last"][1, :, t], clip[1, :, 4] / 2 + mean[:, 0] / 2)


def test_the_blurred_truth_is_blurred_in_space_alone():
    point = torch.zeros(1, 1, 3, 21, 21)
    point[0, 0, 1, 10, 10] = 1
    blurred = baselines.baseline_frames("blurred_truth", point, point, None)[0, 0]
    assert not blurred[0].any() and blurred[1].sum().item() == pytest.approx(1, abs=1e-4)
    assert (blurred[1, 10, 11] / blurred[1, 10, 10]).item() == pytest.approx(np.exp(-0.5), rel=1e-4)


def about(dataset: str, split: str, classes: int) -> dict:
    """The attributes of a file of clips."""
    names = [str(i) for i in range(classes)]
    return {"dataset": dataset, "split": split, "classes": names, "multi_label": True}


@pytest.mark.parametrize("colour", [(), (3,)])
def test_mean_frames_are_those_of_all_clips(tmp_path, colour, monkeypatch):
    monkeypatch.setattr(baselines, "BLOCK", 3)
    clips = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 6, *colour)).astype(np.uint8)
    write_clips(
        tmp_path / "train.h5",
        {"clips": clips, "labels": np.ones((7, 2), np.uint8), "factors": {}},
        about("mine", "train", 2),
    )
    mean_clip = baselines.mean_training_clip(tmp_path / "train.h5")
    assert mean_clip.shape == (*(colour or (1,)), 4, 5, 6)
    np.testing.assert_allclose(
        mean_clip.permute(1, 2, 3, 0).reshape(clips.shape[1:]), clips.mean(0) / 255, atol=1e-6
    )
    mean = baselines.mean_training_frame(tmp_path / "train.h5")
    assert mean.shape == (*(colour or (1,)), 1, 5, 6)
    expected = clips.mean((0, 1)) / 255
    np.testing.assert_allclose(
        mean[:, 0].permute(1, 2, 0).reshape(expected.shape), expected, atol=1e-6
    )


DATA = os.environ.get("VIDREP_TEST_DATA")

# Measured on 2,000 clips of Srivastava et al.'s dynamics with MNIST's test digits, frames 11 to 20.
REFERENCE = {
    "black": {
        "squared_error_per_frame": 176.8,
        "absolute_error_per_frame": 204.6,
        "psnr_db": 13.79,
        "ssim": 0.773,
    },
    "mean_frame": {
        "squared_error_per_frame": 155.4,
        "absolute_error_per_frame": 350.8,
        "psnr_db": 14.33,
        "ssim": 0.222,
    },
    "mean_of_inputs": {
        "squared_error_per_frame": 190.0,
        "absolute_error_per_frame": 355.0,
        "psnr_db": 13.51,
        "ssim": 0.470,
    },
    "repeat_last": {
        "squared_error_per_frame": 289.5,
        "absolute_error_per_frame": 341.4,
        "psnr_db": 11.69,
        "ssim": 0.656,
    },
    "blurred_truth": {
        "squared_error_per_frame": 19.4,
        "absolute_error_per_frame": 84.3,
        "psnr_db": 23.33,
        "ssim": 0.926,
    },
}


@pytest.mark.skipif(
    not (DATA and (Path(DATA) / "mnist").is_dir()),
    reason="VIDREP_TEST_DATA names no folder with mnist/",
)
def test_baselines_on_moving_mnist_have_their_known_scores(tmp_path, cpu):
    digits = load_digits({"kind": "mnist", "folder": Path(DATA) / "mnist"}, seed=0)
    recipe = BouncingRecipe(
        class_velocity=False, hide_digits=False, step=0.1, frames=20, size=64, patch=28
    )
    for split, count in (("train", 200), ("test", 400)):
        content = render(
            recipe,
            *digits.split(split),
            count,
            lambda purpose, split=split: stream(0, split, purpose),
        )
        content = {name: content[name] for name in ("clips", "labels")}
        attrs = about("moving_mnist", split, 10)
        write_clips(tmp_path / f"{split}.h5", content | {"factors": {}}, attrs)
    found = scores.score_baselines(tmp_path / "train.h5", tmp_path / "test.h5", [10], cpu)
    for name, expected in REFERENCE.items():
        table = pd.DataFrame(found[name], columns=scores.SCORE_COLUMNS).query(
            "part == 'prediction'"
        )
        means = table.groupby("metric")["value"].mean()
        for metric, value in expected.items():
            # a small value, of a mean of fewer clips
            tolerance = 0.05 if (name, metric) != ("mean_frame", "ssim") else 0.1
            assert means[metric] == pytest.approx(value, rel=tolerance), (name, metric)
    floor = pd.DataFrame(found["truth"], columns=scores.SCORE_COLUMNS)
    assert set(floor["metric"]) == {"nats_per_frame"}
    # Kalchbrenner et al., arXiv 1610.00527, on the fixed test set
    assert floor["value"].mean() == pytest.approx(86.3, rel=0.05)


# --- Scores of runs. ---


def test_a_run_is_scored_on_all_clips_frame_by_frame(make_split, cpu, monkeypatch):
    monkeypatch.setattr(scores, "BATCH", 5)  # batches of unequal size
    split = make_split(12)
    rows, errors = scores.score_run(Painter(split.shape), split, MEAN, cpu, 300)
    table = pd.DataFrame(rows, columns=scores.SCORE_COLUMNS)
    clips = split.clips.numpy() / 255.0
    squares = ((clips - 0.25) ** 2).sum((2, 3))  # (n, T)
    for part, first, frames in (
        ("reconstruction", 0, range(OBSERVED)),
        ("prediction", 1, range(OBSERVED, 8)),
    ):
        line = table[(table["part"] == part) & (table["metric"] == "squared_error_per_frame")]
        assert list(line["horizon"]) == list(range(first, first + len(frames)))
        np.testing.assert_allclose(line["value"], squares[:, list(frames)].mean(0), rtol=1e-5)
    assert set(table["observed"]) == {OBSERVED}
    assert set(table["clips_seen"]) == {300}
    assert set(table["split"]) == {"test"}
    future = clips[:, OBSERVED:]
    last = clips[:, OBSERVED - 1 : OBSERVED]
    black = (future**2).sum((2, 3)).mean(1)
    repeated = ((future - last) ** 2).sum((2, 3)).mean(1)
    np.testing.assert_allclose(errors["prediction"], squares[:, OBSERVED:].mean(1), rtol=1e-5)
    np.testing.assert_allclose(errors["black"], black, rtol=1e-5)
    np.testing.assert_allclose(errors["repeat_last"], repeated, rtol=1e-5)


def test_a_run_is_held_against_its_predictions_of_all_other_clips(make_split, cpu, monkeypatch):
    monkeypatch.setattr(scores, "BATCH", 5)
    split = make_split(12)
    _, errors = scores.score_run(Oracle(split.shape), split, MEAN, cpu, 0)
    future = split.clips.numpy()[:, OBSERVED:] / 255.0
    predicted = 0.9 * future
    for i, truth in enumerate(future):
        others = np.delete(predicted, i, 0)
        squares = ((others - truth) ** 2).sum((2, 3)).mean(1)  # (11,)
        assert errors["re_paired"][i] == pytest.approx(squares.mean(), rel=1e-5)


def test_of_one_clip_there_is_no_verdict_that_it_predicts(make_split, cpu):
    split = make_split(1)
    _, errors = scores.score_run(Oracle(split.shape), split, MEAN, cpu, 0)
    assert np.isnan(errors["re_paired"]).all()
    assert verdict.verdict_row(errors)[-1] == "fails"


def test_runs_that_predict_nothing_get_no_verdict(make_split, cpu):
    split = make_split(4)
    whole_clip = Painter(split.shape, parts=("reconstruction",))
    whole_clip.observed = 8
    rows, errors = scores.score_run(whole_clip, split, MEAN, cpu, 0)
    assert not errors and {row[1] for row in rows} == {"reconstruction"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"grey": 1.5},
            r"Painter generates reconstruction with values from 1.5 to 1.5;"
            r" they must lie in \[0, 1\]",
        ),
        (
            {"prediction": torch.zeros(4, 1, 1, 16, 16)},
            r"generates prediction of shape \(4, 1, 1, 16, 16\), not \(4, 1, 3, 16, 16\)",
        ),
    ],
)
def test_frames_that_do_not_fit_are_refused(make_split, cpu, wrong, message):
    split = make_split(4)
    with pytest.raises(ValueError, match=message):
        scores.score_run(Painter(split.shape, **wrong), split, MEAN, cpu, 0)


# --- The verdict. ---


def test_the_interval_is_that_of_a_paired_t_test():
    values = np.random.default_rng(0).normal(0.3, 1, 40)
    mean, low, high = student_interval(values)
    assert mean == pytest.approx(values.mean())
    half = 2.0226909 * values.std(ddof=1) / np.sqrt(40)  # t(0.975, 39) from a table
    assert (low, high) == pytest.approx((mean - half, mean + half))


@pytest.mark.parametrize("rival", verdict.RIVALS)
def test_only_what_clearly_beats_every_rival_predicts(rival):
    rng = np.random.default_rng(0)
    own = rng.normal(50, 20, 100)  # clips differ much more than predictors: only pairing shows it
    # of some 50, 4 is more than a twentieth; 1 is measurable, and too little to count
    for margin, clearly in ((4.0, True), (1.0, False), (0.01, False), (-1.0, False)):
        errors = {"prediction": own, **dict.fromkeys(verdict.RIVALS, own + 10)}
        errors[rival] = own + margin + rng.normal(0, 0.5, 100)
        row = dict(zip(verdict.VERDICT_COLUMNS, verdict.verdict_row(errors), strict=True))
        assert row[f"beats_{rival}"] == clearly and row["verdict"] == (
            "predicts" if clearly else "fails"
        )
        assert all(row[f"beats_{name}"] for name in verdict.RIVALS if name != rival)
        assert row[f"minus_{rival}"] == pytest.approx(
            row[verdict.ERROR] - row[f"{rival}_{verdict.ERROR}"]
        )
        assert row[f"minus_{rival}_low"] <= row[f"minus_{rival}"] <= row[f"minus_{rival}_high"]
        if margin == 1.0:
            assert row[f"minus_{rival}_high"] < 0


@pytest.mark.parametrize(("grey", "same_as"), [(0.0, "black"), (0.1, "mean_frame")])
def test_who_generates_what_needs_no_learning_fails(make_split, cpu, grey, same_as):
    split = make_split(12)
    _, errors = scores.score_run(Painter(split.shape, grey=grey), split, MEAN, cpu, 0)
    row = dict(zip(verdict.VERDICT_COLUMNS, verdict.verdict_row(errors), strict=True))
    assert (
        row[f"minus_{same_as}"] == pytest.approx(0, abs=1e-5)
        and not row[f"beats_{same_as}"]
        and row["verdict"] == "fails"
    )


class SamePicture(Painter):
    """Draws the mean test clip, nearly the same whatever it sees."""

    def generate(self, batch):
        truth = generate.split_parts(batch["clip"], self.observed)["prediction"]
        mean = truth.mean((0, 2), keepdim=True)
        return {"prediction": mean.expand_as(truth) + 0.002 * (truth - mean)}


def test_one_picture_for_all_clips_is_no_prediction_however_many_clips(make_split, cpu):
    split = make_split(40)
    too_bright = MEAN + 0.3  # mean frames of a training split that is unlike the test clips
    _, errors = scores.score_run(SamePicture(split.shape), split, too_bright, cpu, 0)
    row = dict(zip(verdict.VERDICT_COLUMNS, verdict.verdict_row(errors), strict=True))
    assert row["minus_re_paired_high"] < 0, "measurably better, by next to nothing"
    losers = {rival for rival in verdict.RIVALS if not row[f"beats_{rival}"]}
    assert "re_paired" in losers and row["verdict"] == "fails"


def test_who_knows_the_future_predicts(make_split, cpu):
    split = make_split(12)
    _, errors = scores.score_run(Oracle(split.shape), split, MEAN, cpu, 0)
    assert verdict.verdict_row(errors)[-1] == "predicts"


# --- Files. ---


def test_masked_input_and_flow_lie_beside_the_frames(tmp_path, make_split, cpu):
    split = make_split(4)
    flow = torch.randn(3, 2, 2, 16, 16)
    painter = Painter(split.shape, masked=torch.full((3, 1, OBSERVED, 16, 16), 0.5), flow=flow)
    generate.write_generated(
        tmp_path / "generated.h5", painter, split, cpu, count=3, true_flow=split.flow.numpy()
    )
    with h5py.File(tmp_path / "generated.h5") as file:
        assert file["masked"].shape == (3, OBSERVED, 16, 16) and (file["masked"][:] == 128).all()
        np.testing.assert_array_equal(
            file["flow"][:], flow.numpy().swapaxes(1, 2).astype(np.float16)
        )
        # The first field leads from the last observed frame to the first one that is predicted.
        np.testing.assert_array_equal(
            file["true_flow"][:], split.flow.numpy()[:3, OBSERVED - 1 : OBSERVED + 1]
        )
        assert list(file.attrs["ids"]) == split.ids[:3]


def test_joined_tables_keep_whole_numbers_and_survive_empty_ones(tmp_path):
    (tmp_path / "a.csv").write_text("system,seed,value,clips_seen\nx,0,1.5,300\n")
    (tmp_path / "b.csv").write_text("system,seed,value,clips_seen\nblack,untrained,2.5,\n")
    (tmp_path / "c.csv").write_text("system,seed,value,clips_seen\n")
    table = join([str(tmp_path / f"{name}.csv") for name in "abc"])
    assert (
        table.to_csv(index=False)
        == "system,seed,value,clips_seen\nx,0,1.5,300\nblack,untrained,2.5,\n"
    )
    assert list(join([str(tmp_path / "c.csv")])) == ["system", "seed", "value", "clips_seen"]


# --- Figures and animations. ---


@pytest.fixture
def generated() -> dict[str, np.ndarray]:
    """Frames as the files hold them: 3 clips of 4 seen and 2 future frames of 6 x 8 pixels."""
    rng = np.random.default_rng(0)
    frames = {"observed": 4, "future": 2, "masked": 4, "reconstruction": 4, "prediction": 2}
    return {
        name: rng.integers(0, 256, (3, count, 6, 8)).astype(np.uint8)
        for name, count in frames.items()
    }


def labels(figure) -> list[str]:
    return [axes.get_ylabel() for axes in figure.axes if axes.axison]


def test_strips_show_what_there_is(generated):
    rows = ["observed", "future", "masked", "reconstruction", "prediction"]
    assert labels(generation_figure(generated, "a run")) == 3 * rows
    flow = {name: np.ones((3, 2, 2, 6, 8), np.float16) for name in ("flow", "true_flow")}
    assert labels(generation_figure(generated | flow, "a run")) == 3 * [
        *rows,
        "flow",
        "true flow",
    ]
    whole = {name: generated[name] for name in ("observed", "masked", "reconstruction")}
    whole["future"] = generated["future"][:, :0]
    assert labels(generation_figure(whole, "a run")) == 3 * [
        "observed",
        "masked",
        "reconstruction",
    ]


def contains(picture: np.ndarray, tile: np.ndarray) -> bool:
    """Does a picture (H, W, 3) show a tile (h, w, 3) somewhere, pixel by pixel?"""
    height, width = tile.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(picture[..., 0], (height, width))
    first_agrees = windows[..., 0, 0] == tile[0, 0, 0]
    last_agrees = windows[..., -1, -1] == tile[-1, -1, 0]
    corners = np.argwhere(first_agrees & last_agrees)
    return any((picture[y : y + height, x : x + width] == tile).all() for y, x in corners)


@pytest.mark.parametrize("masked", [False, True])
def test_the_animation_shows_every_pixel(generated, masked):
    if not masked:
        del generated["masked"]
    pictures = generation_animation.animate(generated)
    file = Image.open(BytesIO(webp(pictures)))
    assert file.n_frames == len(pictures) == 6
    factor = round(128 / 6)
    for t in (1, 5):
        file.seek(t)
        shown = np.asarray(file.convert("RGB"))
        names = ("observed", "masked", "reconstruction") if t < 4 else ("future", "prediction")
        for name in names:
            if name not in generated:
                continue
            for clip in generated[name][:, t % 4]:
                enlarged = clip.repeat(factor, 0).repeat(factor, 1)
                tile = np.repeat(enlarged[..., None], 3, -1)
                assert contains(shown, tile), (name, t)


def test_failing_systems_are_marked():
    table = pd.DataFrame(
        {"system": ["a", "a", "b", "b", "a"], "seed": ["0", "1", "0", "untrained", "untrained"]}
    )
    table["verdict"] = ["fails", "predicts", "predicts", "fails", "fails"]
    assert prediction.failures(table) == {"a": "✗ 1 of 2 seeds fail"}
    table["verdict"] = "fails"
    assert prediction.failures(table) == {"a": "✗ fails", "b": "✗ fails"}


def test_the_figure_puts_the_first_horizon_behind_the_bar():
    keys = {"trained_on": "d", "evaluated_on": "d", "seed": "0"}
    rows = [
        {
            "system": system,
            "part": part,
            "observed": 4,
            "horizon": h,
            "metric": metric,
            "value": 1.0 + h,
            **keys,
        }
        for system in ("mine", "black")
        for part, horizons in (("reconstruction", range(4)), ("prediction", (1, 2, 3)))
        for h in horizons
        for metric in prediction.METRICS
    ]
    verdicts = pd.DataFrame([{"system": "mine", "verdict": "fails", **keys}])
    figure = prediction.prediction_figure(
        pd.DataFrame(rows), verdicts, "d", 40, looks({"mine": "own"})
    )
    lines = {tuple(line.get_xdata()) for line in figure.axes[0].lines}
    assert {(0, 1, 2, 3), (4, 5, 6)} <= lines
    assert [text.get_text() for text in figure.axes[0].texts] == ["✗"]
    assert "mine ✗ fails" in [text.get_text() for text in figure.legends[0].get_texts()]


# --- The scripts. ---

FILES = {"frames": "h5", "scores": "csv", "verdict": "verdict.csv"}


def test_the_scripts_go_from_a_run_to_the_tables(tmp_path, make_split, monkeypatch):
    """A run of an untrained LSTM composite, on its own data set and on another one."""
    for i, dataset in enumerate(("own", "other")):
        for name in ("train", "test"):
            split = make_split(8, seed=i)
            content = {"clips": split.clips.numpy(), "labels": split.labels.numpy(), "factors": {}}
            (tmp_path / dataset).mkdir(exist_ok=True)
            attrs = about(dataset, name, split.labels.shape[1])
            write_clips(tmp_path / dataset / f"{name}.h5", content, attrs)
    chosen = system(
        {
            "name": "lstm_composite_narrow",
            "params": {"units": 8},
            "objective_params": {"observed": OBSERVED},
        }
    )
    objective = build(chosen.definition(), split.shape)
    shape = {"clip": split.shape.clip, "classes": split.shape.classes, "multi_label": True}
    record = {
        "system": chosen.definition(),
        "data_shape": shape,
        "dataset": "own",
        "seed": 0,
        "experiment_seed": 0,
    }
    write_run(tmp_path / "run", objective, [], json.loads(json.dumps(record)))

    def run(name: str, **options) -> None:
        path = Path(__file__).parent.parent / "scripts" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        words = [name]
        for key, value in options.items():
            words += [
                f"--{key.replace('_', '-')}",
                *map(str, value if isinstance(value, list) else [value]),
            ]
        monkeypatch.setattr(sys, "argv", words)
        module.main()

    files = {name: tmp_path / f"seed0.{suffix}" for name, suffix in FILES.items()}
    tests, trains = (
        [tmp_path / dataset / f"{name}.h5" for dataset in ("own", "other")]
        for name in ("test", "train")
    )
    run(
        "generate",
        runs=tmp_path / "run",
        test=tests,
        train=trains,
        true_flow="none",
        count=2,
        train_clips=100,
        **files,
    )
    output = tmp_path / "baselines.csv"
    run("score_baselines", runs=files["scores"], train=trains[0], test=tests[0], outputs=output)
    parts = [files["scores"], tmp_path / "baselines.csv"]
    run("collect_tables", parts=parts, output=tmp_path / "prediction.csv")
    table = pd.read_csv(tmp_path / "prediction.csv", dtype={"seed": str})
    assert list(table) == ["system", "trained_on", "evaluated_on", "seed", *scores.SCORE_COLUMNS]
    own = table[table["system"] == chosen.name]
    assert set(own["evaluated_on"]) == {"own", "other"} and set(own["trained_on"]) == {"own"}
    assert set(own["clips_seen"]) == {100 * sum(chosen.recipe["epochs"])}
    assert set(table.loc[table["evaluated_on"] == "own", "system"]) == {
        chosen.name,
        *baselines.BASELINES,
    }
    assert table.loc[table["system"] != chosen.name, "clips_seen"].isna().all()
    verdicts = pd.read_csv(files["verdict"])
    assert list(verdicts["verdict"]) == ["fails", "fails"] and list(verdicts["evaluated_on"]) == [
        "own",
        "other",
    ]

    # two runs in one job, each on one set
    each = {}
    for name, suffix in FILES.items():
        each[name] = [tmp_path / f"{dataset}.{suffix}" for dataset in ("own", "other")]
    run(
        "generate",
        runs=[tmp_path / "run"] * 2,
        test=tests,
        train=trains,
        true_flow=["none"] * 2,
        count=2,
        train_clips=[100] * 2,
        **each,
    )
    for name in ("scores", "verdict"):
        together = pd.concat([pd.read_csv(path) for path in each[name]], ignore_index=True)
        pd.testing.assert_frame_equal(together, pd.read_csv(files[name]))


def test_verdicts_rest_on_groups_of_clips_where_there_are_some():
    """Better in one group of many clips alone, and worse in none, is no more than luck."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 20)
    own = 1 + 0.1 * rng.random(160) - 0.9 * (groups == 3)
    errors = {rival: 1 + 0.1 * rng.random(160) for rival in verdict.RIVALS} | {"prediction": own}
    assert verdict.verdict_row(errors)[-1] == "predicts"
    assert verdict.verdict_row(errors, groups)[-1] == "fails"
    better = errors | {"prediction": own - 0.3}
    assert verdict.verdict_row(better, groups)[-1] == "predicts"
    assert verdict.verdict_row(better, groups // 2)[-1] == "too_few_groups"
