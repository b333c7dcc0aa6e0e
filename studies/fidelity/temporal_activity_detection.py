"""Claims about temporal activity detection (Montes et al., arXiv 1608.08128), on the detections
made with one narrow C3D.
"""

import numpy as np
import pandas as pd

from studies.fidelity.claim import Claim, Finding, NotRun, Results, Score, at_least
from vidrep.statistics import wilson_interval

DATASET = "velocity_only"
SYSTEM = "c3d_narrow"
RUN = f"{DATASET}--{SYSTEM}--seed0"
FLICKER = 0.15  # share of clips whose probabilities are swapped for those of another clip
NOISE_FEATURES = 64


def _rows(results: Results) -> pd.DataFrame:
    """The run's rows of detection.csv on test splits."""
    table = results.table("detection")
    rows = table[
        (table["system"] == SYSTEM) & (table["trained_on"] == DATASET) & (table["seed"] == "0")
    ]
    if rows.empty:
        raise NotRun(f"no detection with {SYSTEM} on {DATASET}")
    return rows


def _chosen(rows: pd.DataFrame) -> tuple[int, float]:
    """The k and alpha in use: those at which clip accuracy stands."""
    row = rows[rows["metric"] == "clip_accuracy"].iloc[0]
    return int(row["k"]), float(row["alpha"])


def _grid(results: Results, metric: str, head: str = "lstm") -> pd.DataFrame:
    """A metric on the test videos: a row for each alpha, a column for each k."""
    rows = _rows(results)
    rows = rows[(rows["split"] == "test") & (rows["metric"] == metric) & (rows["head"] == head)]
    return rows.pivot(index="alpha", columns="k", values="value")


def _videos(results: Results) -> dict:
    """The splits of the run's features."""
    from vidrep.detection.features import read_features

    path = results.folder / "detection" / f"{RUN}.features.h5"
    if not path.exists():
        raise NotRun(f"no {path.name}")
    return read_features(path)[0]


def _perfect(results: Results) -> Finding:
    from vidrep.detection.evaluate import detection_map
    from vidrep.detection.job import segments_found
    from vidrep.detection.postprocess import true_segments

    test = _videos(results)["test"]
    one_hot = np.eye(test.classes + 1)[test.labels]
    found = segments_found(one_hot, test, 0, _chosen(_rows(results))[1])
    truth = true_segments(test.segments, test.segment_class, test.fps)
    value = float(detection_map(found, truth, (0.5,))[0])
    if len(found) != len(truth):
        return Finding(f"mAP {value:.3f}, {len(found)} segments for {len(truth)} true ones", False)
    error = max(
        np.abs(found.start_s - truth.start_s).max(), np.abs(found.end_s - truth.end_s).max()
    )
    half = test.clip_frames / test.fps / 2
    text = (
        f"mAP {value:.3f} at tIoU 0.5; largest error of a boundary {error:.2f} s, half a clip is"
        f" {half:.2f} s"
    )
    return Finding(text, value == 1.0 and error <= half + 1e-9)


def _random(results: Results) -> Finding:
    from dataclasses import replace

    from vidrep.detection.job import Settings, full_scores
    from vidrep.detection.labeller import LabellerRecipe, predict, train_labeller
    from vidrep.training.device import choose

    rng = np.random.default_rng(0)
    device = choose(0, "float32")
    splits = {
        name: replace(
            videos,
            features=rng.normal(size=(len(videos.labels), NOISE_FEATURES)).astype(np.float32),
        )
        for name, videos in _videos(results).items()
        if name in ("train", "validation", "test")
    }
    recipe = LabellerRecipe(
        units=32, layers=1, dropout=0.5, background_weight=0.3, lr=3e-3, epochs=5, batch=16
    )
    labeller, _ = train_labeller(
        "lstm", splits["train"], splits["validation"], recipe, seed=0, device=device
    )
    test = splits["test"]
    scores = full_scores(
        predict(labeller, test, device), test, Settings(*_chosen(_rows(results)), (), ())
    )
    low, high = wilson_interval(scores["hit@1"], len(test))
    text = (
        f"video accuracy {100 * scores['hit@1']:.1f} % [{100 * low:.1f}, {100 * high:.1f}], mAP"
        f" {scores['map@0.5']:.3f}"
    )
    return Finding(
        f"{text} at tIoU 0.5", bool(low <= 1 / test.classes <= high and scores["map@0.5"] < 0.1)
    )


def _lstm(results: Results) -> Finding:
    rows = _rows(results)
    clips = len(_videos(results)["test"].labels)
    rows = rows[(rows["split"] == "test") & (rows["metric"] == "clip_accuracy")].set_index("head")[
        "value"
    ]
    return at_least(
        *(Score(float(rows[head]), clips, f"clip accuracy, {head}") for head in ("lstm", "softmax"))
    )


def _smoothing(results: Results) -> Finding:
    from vidrep.detection.job import segment_scores

    test, (k, alpha) = _videos(results)["test"], _chosen(_rows(results))
    with np.load(results.folder / "detection" / f"{RUN}.npz") as file:
        probabilities = file["test_lstm"]
    rng = np.random.default_rng(0)
    hit = np.flatnonzero(rng.random(len(probabilities)) < FLICKER)
    flickering = probabilities.copy()
    flickering[hit] = probabilities[rng.integers(0, len(probabilities), len(hit))]

    def score(values: np.ndarray, width: int) -> float:
        return segment_scores(values, test, width, alpha, (0.5,))["map@0.5"]

    with_filter = score(flickering, k)
    without = score(flickering, 0)
    text = (
        f"flickering: mAP {with_filter:.3f} with k = {k}, {without:.3f} with k = 0; as predicted:"
        f" {score(probabilities, k):.3f} and {score(probabilities, 0):.3f} (alpha {alpha:g}, tIoU"
        " 0.5)"
    )
    return Finding(text, k > 0 and with_filter > without)


def _large_k(results: Results) -> Finding:
    test, (k, alpha) = _videos(results)["test"], _chosen(_rows(results))
    values = _grid(results, "map@0.5").loc[alpha]
    segments = _grid(results, "segments").loc[alpha]
    true = float((test.segment_class >= 0).sum() / len(test))
    widest = max(values.index)
    text = (
        f"k = {widest}: {segments[widest]:.2f} segments a video (truth {true:.2f}), mAP"
        f" {values[widest]:.3f} against {values[k]:.3f} with k = {k} (alpha {alpha:g}, tIoU 0.5)"
    )
    return Finding(text, bool(segments[widest] < true and values[widest] < values[k]))


def _alpha(results: Results) -> Finding:
    grid, (k, _) = _grid(results, "map@0.5"), _chosen(_rows(results))
    best = [
        f"k = {width}: best alpha {grid[width].idxmax():g} (mAP {grid[width].max():.3f})"
        for width in grid.columns
    ]
    low = grid.loc[grid.index < 0.5, k].max()
    high = grid.loc[grid.index >= 0.5, k].max()
    text = (
        f"k = {k} (in use): {low:.3f} at the best alpha below 0.5, {high:.3f} at the best from 0.5"
        " on; " + ", ".join(best)
    )
    return Finding(text, bool(low > high))


def _overlap(results: Results) -> Finding:
    rows = _rows(results)
    rows = rows[
        (rows["split"] == "test") & rows["metric"].str.startswith("map@") & (rows["head"] == "lstm")
    ]
    k, alpha = _chosen(_rows(results))
    values = (
        rows[(rows["k"] == k) & (rows["alpha"] == alpha)].set_index("metric")["value"].sort_index()
    )
    text = ", ".join(f"{name.removeprefix('map@')}: {value:.3f}" for name, value in values.items())
    return Finding(f"mAP at tIoU {text}", bool(values.is_monotonic_decreasing))


def _counts(results: Results) -> Finding:
    (_, alpha), segments, lasting = (
        _chosen(_rows(results)),
        _grid(results, "segments"),
        _grid(results, "detected_s"),
    )
    decreasing = [bool(row.is_monotonic_decreasing) for _, row in segments.iterrows()]
    shorter = all(column.is_monotonic_decreasing for _, column in lasting.items())
    text = (
        f"segments a video at alpha {alpha:g}: "
        + ", ".join(f"{value:.2f} (k = {k})" for k, value in segments.loc[alpha].items())
        + f"; decreasing with k at {sum(decreasing)} of {len(decreasing)} values of alpha; "
        + f"seconds detected {'decrease' if shorter else 'do not decrease'} with alpha at every k"
    )
    return Finding(text, bool(segments.loc[alpha].is_monotonic_decreasing and shorter))


def _two_activities(results: Results) -> Finding:
    rows = _rows(results)
    rows = rows[(rows["split"] == "test_two_activities") & (rows["head"] == "lstm")].set_index(
        "metric"
    )["value"]
    if rows.empty:
        raise NotRun("no videos with two activities")
    text = (
        f"of the two classes of each video {100 * rows['classes_returned']:.1f} % are returned; mAP"
        f" {rows['map@0.5']:.3f}"
    )
    return Finding(f"{text} at tIoU 0.5", bool(rows["classes_returned"] <= 0.5))


_TABLE = f"tables/detection.csv, {SYSTEM} on {DATASET}, LSTM, test videos"


def _claim(text: str, expected: str, how: str, measure) -> Claim:
    return Claim("temporal_activity_detection", text, expected, how, measure)


CLAIMS = [
    _claim(
        "Perfect clip labels give perfect detections",
        "mAP 1 at tIoU 0.5, boundaries within half a clip",
        "one-hot true clip labels of the test videos through the post-processing, without a filter",
        _perfect,
    ),
    _claim(
        "Random features detect nothing",
        "video accuracy near 10 %, detection mAP below 0.1",
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
