"""Claims about temporal activity detection (Montes et al., arXiv 1608.08128).

They are judged on the detections made with one narrow C3D.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from studies.fidelity.claim import Claim, Finding, all_hold, at_least, at_most, decided
from studies.results import NotRun, Results
from studies.scores import CONSTANT, Score
from vidrep.detection.evaluate import detection_map
from vidrep.detection.features import read_features
from vidrep.detection.job import Settings, full_scores, segment_scores, segments_found
from vidrep.detection.labeller import LabellerRecipe, predict, train_labeller
from vidrep.detection.postprocess import true_segments
from vidrep.training.device import choose

SOURCE = "temporal_activity_detection"
DATASET = "velocity_only"
SYSTEM = "c3d_narrow"
RUN = f"{DATASET}--{SYSTEM}--seed0"
MAP = "map@0.5"  # at an overlap (tIoU) of one half
FLICKER = 0.15  # share of clips whose probabilities are swapped for those of another clip
NOISE_FEATURES = 64
NEAR = 0.1  # what "near chance" allows above it


def _rows(results: Results) -> pd.DataFrame:
    """The run's rows of detection.csv on test splits."""
    table = results.table("detection")
    rows = table[
        (table["system"] == SYSTEM) & (table["trained_on"] == DATASET) & (table["seed"] == "0")
    ]
    if rows.empty:
        raise NotRun(f"no detection with {SYSTEM} on {DATASET}")
    return rows


def _chosen(results: Results) -> tuple[int, float]:
    """The k and alpha in use: those at which clip accuracy stands."""
    rows = _rows(results)
    row = rows[rows["metric"] == "clip_accuracy"].iloc[0]
    return int(row["k"]), float(row["alpha"])


def _grid(results: Results, metric: str, head: str = "lstm") -> pd.DataFrame:
    """A metric on the test videos: a row for each alpha, a column for each k."""
    rows = _rows(results)
    rows = rows[(rows["split"] == "test") & (rows["metric"] == metric) & (rows["head"] == head)]
    return rows.pivot(index="alpha", columns="k", values="value")


def _videos(results: Results) -> dict:
    """The splits of the run's features."""
    path = results.folder / "detection" / f"{RUN}.features.h5"
    if not path.exists():
        raise NotRun(f"no {path.name}")
    videos, *_ = read_features(path)
    return videos


def _perfect(results: Results) -> Finding:
    test = _videos(results)["test"]
    _, alpha = _chosen(results)
    one_hot = np.eye(test.classes + 1)[test.labels]
    found = segments_found(one_hot, test, 0, alpha)
    truth = true_segments(test.segments, test.segment_class, test.fps)
    value = float(detection_map(found, truth, (0.5,))[0])
    if len(found) != len(truth):
        return decided(f"mAP {value:.3f}, {len(found)} segments for {len(truth)} true ones", False)
    start_error = np.abs(found.start_s - truth.start_s).max()
    end_error = np.abs(found.end_s - truth.end_s).max()
    error = max(start_error, end_error)
    half = test.clip_frames / test.fps / 2
    text = (
        f"mAP {value:.3f} at tIoU 0.5; largest error of a boundary {error:.2f} s, half a clip is"
        f" {half:.2f} s"
    )
    return decided(text, value == 1.0 and error <= half + 1e-9)


def _random(results: Results) -> Finding:
    rng = np.random.default_rng(0)
    device = choose(0, "float32")
    splits = {}
    for name, videos in _videos(results).items():
        if name in ("train", "validation", "test"):
            noise = rng.normal(size=(len(videos.labels), NOISE_FEATURES)).astype(np.float32)
            splits[name] = replace(videos, features=noise)
    recipe = LabellerRecipe(
        units=32, layers=1, dropout=0.5, background_weight=0.3, lr=3e-3, epochs=5, batch=16
    )
    labeller, _ = train_labeller(
        "lstm", splits["train"], splits["validation"], recipe, seed=0, device=device
    )
    test = splits["test"]
    k, alpha = _chosen(results)
    scores = full_scores(predict(labeller, test, device), test, Settings(k, alpha, (), ()))
    hits = np.zeros(len(test))
    hits[: round(scores["hit@1"] * len(test))] = 1
    by_chance = np.full(len(test), 1 / test.classes)
    return all_hold(
        [
            at_most(_of_videos(hits, "video accuracy"), _of_videos(by_chance, "chance"), NEAR),
            decided(f"mAP {scores[MAP]:.3f} at tIoU 0.5", bool(scores[MAP] < 0.1)),
        ]
    )


def _of_videos(values: np.ndarray, name: str) -> Score:
    """A share of each test video, (V,): the clips of a video are no independent samples."""
    return Score(values[None], name, runs=CONSTANT, clips="test videos")


def _lstm(results: Results) -> Finding:
    test = _videos(results)["test"]
    scores = {}
    with np.load(results.folder / "detection" / f"{RUN}.npz") as file:
        for head in ("lstm", "softmax"):
            right = file[f"test_{head}"].argmax(1) == test.labels
            videos = np.split(right, np.cumsum(test.clips)[:-1])
            shares = np.array([clips.mean() for clips in videos])
            scores[head] = _of_videos(shares, f"clip accuracy, {head}")
    return at_least(scores["lstm"], scores["softmax"])


def _smoothing(results: Results) -> Finding:
    test = _videos(results)["test"]
    k, alpha = _chosen(results)
    with np.load(results.folder / "detection" / f"{RUN}.npz") as file:
        probabilities = file["test_lstm"]
    rng = np.random.default_rng(0)
    hit = np.flatnonzero(rng.random(len(probabilities)) < FLICKER)
    flickering = probabilities.copy()
    flickering[hit] = probabilities[rng.integers(0, len(probabilities), len(hit))]

    def score(values: np.ndarray, width: int) -> float:
        return segment_scores(values, test, width, alpha, (0.5,))[MAP]

    with_filter = score(flickering, k)
    without = score(flickering, 0)
    text = (
        f"flickering: mAP {with_filter:.3f} with k = {k}, {without:.3f} with k = 0; as predicted:"
        f" {score(probabilities, k):.3f} and {score(probabilities, 0):.3f} (alpha {alpha:g}, tIoU"
        " 0.5)"
    )
    return decided(text, k > 0 and with_filter > without)


def _large_k(results: Results) -> Finding:
    test = _videos(results)["test"]
    k, alpha = _chosen(results)
    values = _grid(results, MAP).loc[alpha]
    segments = _grid(results, "segments").loc[alpha]
    true = float((test.segment_class >= 0).sum() / len(test))
    widest = max(values.index)
    text = (
        f"k = {widest}: {segments[widest]:.2f} segments a video (truth {true:.2f}), mAP"
        f" {values[widest]:.3f} against {values[k]:.3f} with k = {k} (alpha {alpha:g}, tIoU 0.5)"
    )
    return decided(text, bool(segments[widest] < true and values[widest] < values[k]))


def _alpha(results: Results) -> Finding:
    grid = _grid(results, MAP)
    k, _ = _chosen(results)
    best = []
    for width in grid.columns:
        column = grid[width]
        best.append(f"k = {width}: best alpha {column.idxmax():g} (mAP {column.max():.3f})")
    low = grid.loc[grid.index < 0.5, k].max()
    high = grid.loc[grid.index >= 0.5, k].max()
    text = (
        f"k = {k} (in use): {low:.3f} at the best alpha below 0.5, {high:.3f} at the best from 0.5"
        f" on; {', '.join(best)}"
    )
    return decided(text, bool(low > high))


def _overlap(results: Results) -> Finding:
    k, alpha = _chosen(results)
    rows = _rows(results)
    rows = rows[
        (rows["split"] == "test")
        & (rows["head"] == "lstm")
        & (rows["k"] == k)
        & (rows["alpha"] == alpha)
        & rows["metric"].str.startswith("map@")
    ]
    values = rows.set_index("metric")["value"].sort_index()
    text = ", ".join(f"{name.removeprefix('map@')}: {value:.3f}" for name, value in values.items())
    return decided(f"mAP at tIoU {text}", bool(values.is_monotonic_decreasing))


def _counts(results: Results) -> Finding:
    _, alpha = _chosen(results)
    segments = _grid(results, "segments")
    lasting = _grid(results, "detected_s")
    in_use = segments.loc[alpha]
    decreasing = [bool(row.is_monotonic_decreasing) for _, row in segments.iterrows()]
    shorter = all(column.is_monotonic_decreasing for _, column in lasting.items())
    counts = ", ".join(f"{value:.2f} (k = {k})" for k, value in in_use.items())
    text = (
        f"segments a video at alpha {alpha:g}: {counts}; decreasing with k at {sum(decreasing)} of"
        f" {len(decreasing)} values of alpha; seconds detected"
        f" {'decrease' if shorter else 'do not decrease'} with alpha at every k"
    )
    return decided(text, bool(in_use.is_monotonic_decreasing and shorter))


def _two_activities(results: Results) -> Finding:
    rows = _rows(results)
    rows = rows[(rows["split"] == "test_two_activities") & (rows["head"] == "lstm")]
    if rows.empty:
        raise NotRun("no videos with two activities")
    values = rows.set_index("metric")["value"]
    returned = values["classes_returned"]
    text = (
        f"of the two classes of each video {100 * returned:.1f} % are returned; mAP"
        f" {values[MAP]:.3f} at tIoU 0.5"
    )
    return decided(text, bool(returned <= 0.5))


_TABLE = f"tables/detection.csv, {SYSTEM} on {DATASET}, LSTM, test videos"


_claim = partial(Claim, SOURCE)

CLAIMS = [
    _claim(
        "Perfect clip labels give perfect detections",
        "mAP 1 at tIoU 0.5, boundaries within half a clip",
        "one-hot true clip labels of the test videos through the post-processing, without a filter",
        _perfect,
    ),
    _claim(
        "Random features detect nothing",
        "video accuracy at most 10 points above that of a guess, detection mAP below 0.1",
        "an LSTM trained on normal random numbers in place of features",
        _random,
    ),
    _claim(
        "The LSTM labels clips at least as well as a softmax on each clip",
        "not below",
        _TABLE,
        _lstm,
    ),
    _claim(
        "Smoothing helps where clip predictions flicker",
        "mAP with the mean filter above that without",
        f"the LSTM's probabilities, {100 * FLICKER:.0f} % of the clips given those of a random"
        " other clip",
        _smoothing,
    ),
    _claim(
        "A very wide filter merges or erases segments",
        "fewer segments than there are, lower mAP",
        _TABLE,
        _large_k,
    ),
    _claim(
        "The best alpha is below 0.5 when background is down-weighted",
        "mAP at the best alpha tried below 0.5 above that at the best from 0.5 on, with the filter"
        " in use",
        _TABLE,
        _alpha,
    ),
    _claim(
        "mAP falls monotonically as the tIoU asked for rises",
        "never rises from 0.1 to 0.9",
        _TABLE,
        _overlap,
    ),
    _claim(
        "A wider filter gives fewer segments, a higher alpha less detected time",
        "segments never rise with k at the alpha in use, seconds never rise with alpha",
        _TABLE,
        _counts,
    ),
    _claim(
        "Of two activities in a video one is never returned",
        "at most half of the classes returned",
        "test videos with two segments of different classes",
        _two_activities,
    ),
]
