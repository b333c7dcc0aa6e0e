"""Temporal activity detection with one run's features: train both heads, detect, score, write."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
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

DETECTION_COLUMNS = ("head", "split", "k", "alpha", "metric", "value")
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
    splits: dict[str, Videos],
    recipe: LabellerRecipe,
    *,
    seed: int,
    device: Device,
    report,
) -> dict[str, np.ndarray]:
    """Train both heads and label the clips of every test split.

    Args:
        splits: train, validation and test splits.
        recipe: size and training of the labeller.
        seed: see ``train_labeller``.
        device: where to compute.
        report: a function that receives a line for each head.

    Returns:
        ``<split>_<head>`` to probabilities (N, K + 1) float32.
    """
    probabilities = {}
    for head in HEADS:
        labeller, losses = train_labeller(
            head, splits["train"], splits["validation"], recipe, seed=seed, device=device
        )
        best_epoch = int(np.argmin(losses)) + 1
        report(
            f"{head}: lowest validation loss {min(losses):.3f} in epoch {best_epoch} of"
            f" {len(losses)}"
        )
        for name in test_splits(splits):
            predicted = predict(labeller, splits[name], device)
            probabilities[f"{name}_{head}"] = predicted.astype(np.float32)
    return probabilities


def test_splits(splits: dict[str, Videos]) -> list[str]:
    """Names of the splits that are scored."""
    return [name for name in splits if name not in ("train", "validation")]


def segments_found(probabilities: np.ndarray, videos: Videos, k: int, alpha: float) -> Segments:
    """Detected segments of a split; ``k`` and ``alpha`` are explained at ``Settings``."""
    return detect(
        probabilities,
        videos.clips,
        k=k,
        alpha=alpha,
        clip_frames=videos.clip_frames,
        fps=videos.fps,
        offset=videos.offset,
    )


def score_rows(
    splits: dict[str, Videos], probabilities: dict[str, np.ndarray], settings: Settings
) -> Iterator[tuple]:
    """Rows of ``DETECTION_COLUMNS``.

    Everything at the chosen settings, the sweep on the test videos.
    """
    chosen = (settings.k, settings.alpha)
    for split in test_splits(splits):
        videos = splits[split]
        background = float((videos.labels == 0).mean())
        yield (FLOOR, split, *chosen, "clip_accuracy", background)
        for head in HEADS:
            scores = full_scores(probabilities[f"{split}_{head}"], videos, settings)
            for metric, value in scores.items():
                yield (head, split, *chosen, metric, value)
    for head, k, alpha in product(HEADS, settings.ks, settings.alphas):
        if (k, alpha) == chosen:
            continue
        of_head = probabilities[f"test_{head}"]
        scores = segment_scores(of_head, splits["test"], k, alpha, (SWEPT,))
        for metric, value in scores.items():
            yield (head, "test", k, alpha, metric, value)


def full_scores(probabilities: np.ndarray, videos: Videos, settings: Settings) -> dict[str, float]:
    """Scores of clips, video labels and segments at the chosen settings."""
    truth = true_segments(videos.segments, videos.segment_class, videos.fps)
    found = segments_found(probabilities, videos, settings.k, settings.alpha)
    is_class = videos.segment_class[:, :, None] == np.arange(videos.classes)  # (V, S, K)
    present = is_class.any(1)  # (V, K)
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
    probabilities: np.ndarray,
    videos: Videos,
    k: int,
    alpha: float,
    thresholds: tuple[float, ...],
) -> dict[str, float]:
    """``map@<tIoU>``, and how many segments a video has and how many seconds they last."""
    found = segments_found(probabilities, videos, k, alpha)
    truth = true_segments(videos.segments, videos.segment_class, videos.fps)
    scores = {}
    precisions = detection_map(found, truth, thresholds)
    for threshold, precision in zip(thresholds, precisions, strict=True):
        scores[f"map@{threshold}"] = float(precision)
    durations_s = found.end_s - found.start_s
    scores["segments"] = len(found) / len(videos)
    scores["detected_s"] = float(durations_s.sum() / len(videos))
    return scores


def write_probabilities(
    path: Path, splits: dict[str, Videos], probabilities: dict[str, np.ndarray]
) -> None:
    """Write the probabilities of the test splits to one .npz file.

    Beside them stand ``<split>_clips`` (V,) and ``<split>_labels`` (N,) of each test split.
    """
    arrays = dict(probabilities)
    for name in test_splits(splits):
        arrays[f"{name}_clips"] = splits[name].clips
        arrays[f"{name}_labels"] = splits[name].labels
    with whole(path) as beside, open(beside, "wb") as file:
        np.savez_compressed(file, **arrays)


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
    found = {}
    for head in HEADS:
        of_head = probabilities[f"test_{head}"]
        found[head] = segments_found(of_head, videos, settings.k, settings.alpha)
    listed = []
    for i in range(len(videos)):
        duration_s = float(videos.clips[i] * videos.clip_frames / videos.fps)
        entry = {
            "name": f"test/{i:06d}",
            "duration_s": round(duration_s, 3),
            "truth": as_list(truth, i, scored=False),
        }
        for head in HEADS:
            entry[head] = as_list(found[head], i)
        listed.append(entry)
    content = {
        **about,
        "k": settings.k,
        "alpha": settings.alpha,
        "fps": videos.fps,
        "clip_frames": videos.clip_frames,
        "videos": listed,
    }
    with whole(path) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n")


def as_list(segments: Segments, video: int, *, scored: bool = True) -> list[dict]:
    """The segments of one video as plain data, with their scores if ``scored``."""
    chosen = segments.where(segments.video == video)
    listed = []
    for i in range(len(chosen)):
        entry = {
            "label": int(chosen.label[i]),
            "start_s": round(float(chosen.start_s[i]), 3),
            "end_s": round(float(chosen.end_s[i]), 3),
        }
        if scored:
            entry["score"] = round(float(chosen.score[i]), 4)
        listed.append(entry)
    return listed
