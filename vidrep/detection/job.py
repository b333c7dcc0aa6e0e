"""Temporal activity detection with one run's features: train both heads, detect, score, write."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidrep.detection.evaluate import (
    THRESHOLDS,
    classes_returned,
    classification_map,
    detection_map,
    hit_at,
)
from vidrep.detection.features import Videos
from vidrep.detection.labeller import HEADS, LabellerRecipe, predict, train_labeller
from vidrep.detection.postprocess import Segments, classify, detect, true_segments
from vidrep.files import whole
from vidrep.training.device import Device

COLUMNS = ("head", "split", "k", "alpha", "metric", "value")
SWEPT = 0.5  # temporal IoU at which the sweep is scored
FLOOR = "background"  # the head that calls every clip background


@dataclass(frozen=True)
class Settings:
    """Post-processing: what is used, and what is tried beside it on the test videos.

    Attributes:
        k: half-width of the mean filter in clips.
        alpha: threshold of the activity curve.
        ks, alphas: every pair of these is scored too.
    """

    k: int
    alpha: float
    ks: tuple[int, ...]
    alphas: tuple[float, ...]


def label_clips(
    splits: dict[str, Videos], recipe: LabellerRecipe, *, seed: int, device: Device, report
) -> dict[str, np.ndarray]:
    """Train both heads and label the clips of every test split.

    Args:
        splits: train, validation and test splits.
        recipe: of the labeller.
        seed: see ``train_labeller``.
        device: where to compute.
        report: receives a line a head.

    Returns:
        ``<split>_<head>`` to probabilities (N, K + 1) float32.
    """
    probabilities = {}
    for head in HEADS:
        labeller, losses = train_labeller(
            head, splits["train"], splits["validation"], recipe, seed=seed, device=device
        )
        report(
            f"{head}: lowest validation loss {min(losses):.3f} in epoch"
            f" {int(np.argmin(losses)) + 1} of {len(losses)}"
        )
        for name in test_splits(splits):
            probabilities[f"{name}_{head}"] = predict(labeller, splits[name], device).astype(
                np.float32
            )
    return probabilities


def test_splits(splits: dict[str, Videos]) -> list[str]:
    """Names of the splits that are scored."""
    return [name for name in splits if name not in ("train", "validation")]


def segments_found(probabilities: np.ndarray, videos: Videos, k: int, alpha: float) -> Segments:
    """Detected segments of a split."""
    times = {"clip_frames": videos.clip_frames, "fps": videos.fps, "offset": videos.offset}
    return detect(probabilities, videos.clips, k=k, alpha=alpha, **times)


def score_rows(
    splits: dict[str, Videos], probabilities: dict[str, np.ndarray], settings: Settings
) -> Iterator[tuple]:
    """Rows of ``COLUMNS``: everything at the chosen settings, the sweep on the test videos."""
    for split in test_splits(splits):
        videos = splits[split]
        yield (
            FLOOR,
            split,
            settings.k,
            settings.alpha,
            "clip_accuracy",
            float((videos.labels == 0).mean()),
        )
        for head in HEADS:
            scores = full_scores(probabilities[f"{split}_{head}"], videos, settings)
            yield from (
                (head, split, settings.k, settings.alpha, *score) for score in scores.items()
            )
    for head in HEADS:
        for k in settings.ks:
            for alpha in settings.alphas:
                if (k, alpha) != (settings.k, settings.alpha):
                    scores = segment_scores(
                        probabilities[f"test_{head}"], splits["test"], k, alpha, (SWEPT,)
                    )
                    yield from ((head, "test", k, alpha, *score) for score in scores.items())


def full_scores(probabilities: np.ndarray, videos: Videos, settings: Settings) -> dict[str, float]:
    """Scores of clips, video labels and segments at the chosen settings."""
    truth = true_segments(videos.segments, videos.segment_class, videos.fps)
    found = segments_found(probabilities, videos, settings.k, settings.alpha)
    present = (videos.segment_class[:, :, None] == np.arange(videos.classes)).any(1)
    ranking = classify(probabilities, videos.clips)
    return {
        "clip_accuracy": float((probabilities.argmax(1) == videos.labels).mean()),
        "classification_map": classification_map(ranking, present),
        "hit@1": hit_at(ranking, present, 1),
        "hit@3": hit_at(ranking, present, 3),
        "classes_returned": classes_returned(found, truth, videos.classes),
        **segment_scores(probabilities, videos, settings.k, settings.alpha, THRESHOLDS),
    }


def segment_scores(
    probabilities: np.ndarray, videos: Videos, k: int, alpha: float, thresholds: tuple[float, ...]
) -> dict[str, float]:
    """``map@<tIoU>``, and how many segments a video has and how many seconds they last."""
    found = segments_found(probabilities, videos, k, alpha)
    truth = true_segments(videos.segments, videos.segment_class, videos.fps)
    values = detection_map(found, truth, thresholds)
    return {
        **{
            f"map@{threshold}": float(value)
            for threshold, value in zip(thresholds, values, strict=True)
        },
        "segments": len(found) / len(videos),
        "detected_s": float((found.end_s - found.start_s).sum() / len(videos)),
    }


def write_probabilities(
    path: Path, splits: dict[str, Videos], probabilities: dict[str, np.ndarray]
) -> None:
    """Write probabilities, and of each test split ``<split>_clips`` (V,) and ``<split>_labels``
    (N,), to one .npz file.
    """
    facts = {
        f"{name}_{key}": getattr(splits[name], key)
        for name in test_splits(splits)
        for key in ("clips", "labels")
    }
    with whole(path) as beside, open(beside, "wb") as file:
        np.savez_compressed(file, **probabilities, **facts)


def write_detections(
    path: Path,
    videos: Videos,
    probabilities: dict[str, np.ndarray],
    settings: Settings,
    about: dict,
) -> None:
    """Write what each head finds in every test video, the truth beside it, as JSON.

    Top level: ``about``, ``k``, ``alpha``, ``fps``, ``clip_frames`` and ``videos``; of each video
    its ``name``, ``duration_s`` (of its full clips), ``truth`` and, under each head's name, the
    activities found: label, start_s, end_s, score.
    """
    truth = true_segments(videos.segments, videos.segment_class, videos.fps)
    by_head = {
        head: segments_found(probabilities[f"test_{head}"], videos, settings.k, settings.alpha)
        for head in HEADS
    }
    listed = [
        {
            "name": f"test/{i:06d}",
            "duration_s": round(float(videos.clips[i] * videos.clip_frames / videos.fps), 3),
            "truth": as_list(truth, i, scored=False),
            **{head: as_list(found, i) for head, found in by_head.items()},
        }
        for i in range(len(videos))
    ]
    content = {
        **about,
        "k": settings.k,
        "alpha": settings.alpha,
        "fps": videos.fps,
        "clip_frames": videos.clip_frames,
    }
    with whole(path) as beside:
        beside.write_text(json.dumps({**content, "videos": listed}, indent=1) + "\n")


def as_list(segments: Segments, video: int, *, scored: bool = True) -> list[dict]:
    """The segments of one video as plain data."""
    part = segments.where(segments.video == video)
    rows = zip(part.label, part.start_s, part.end_s, part.score, strict=True)
    return [
        {"label": int(label), "start_s": round(float(start), 3), "end_s": round(float(end), 3)}
        | ({"score": round(float(score), 4)} if scored else {})
        for label, start, end, score in rows
    ]
