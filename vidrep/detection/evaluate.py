"""Scores of temporal activity detection: average precision of segments and of video labels."""

import numpy as np

from vidrep.detection.postprocess import Segments

THRESHOLDS = tuple(round(0.1 * i, 1) for i in range(1, 10))  # temporal IoU


def overlaps(found: Segments, truth: Segments) -> np.ndarray:
    """Temporal intersection over union of all pairs of segments.

    Returns:
        (found, truth) in [0, 1]; 0 between segments of different videos.
    """
    start_s = np.maximum(found.start_s[:, None], truth.start_s)
    end_s = np.minimum(found.end_s[:, None], truth.end_s)
    same_video = found.video[:, None] == truth.video
    intersection = np.clip(end_s - start_s, 0, None) * same_video
    found_s = found.end_s - found.start_s
    true_s = truth.end_s - truth.start_s
    union = (found_s[:, None] + true_s) - intersection
    return intersection / np.maximum(union, np.finfo(float).tiny)


def match(overlap: np.ndarray, threshold: float) -> np.ndarray:
    """Which detections are correct.

    Args:
        overlap: (found, truth), detections in the order of their rank.
        threshold: a detection is correct when its overlap with a true segment that no better one
            has taken reaches this; it takes the one it overlaps most.

    Returns:
        (found,) bool; duplicates are False.
    """
    correct = np.zeros(len(overlap), bool)
    if not overlap.shape[1]:
        return correct
    free = overlap.copy()
    for i in np.flatnonzero(overlap.max(1) >= threshold):
        best = free[i].argmax()
        if free[i, best] >= threshold:
            correct[i] = True
            free[:, best] = -1.0
    return correct


def average_precision(correct: np.ndarray, positives: int) -> float:
    """Area under precision against recall, as in ActivityNet's evaluation.

    Precision is made monotone from the right.

    Args:
        correct: (M,) bool in the order of rank.
        positives: how many there are to find, at least one.
    """
    hits = np.cumsum(correct)
    precision = hits / np.arange(1, len(correct) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[correct].sum() / positives)


def detection_map(
    found: Segments, truth: Segments, thresholds: tuple[float, ...] = THRESHOLDS
) -> np.ndarray:
    """Mean of average precision over the classes of the truth.

    Args:
        found, truth: the segments of all videos.
        thresholds: of temporal intersection over union.

    Returns:
        One value a threshold.
    """
    by_class = []
    for label in np.unique(truth.label):
        found_of_class = found.where(found.label == label)
        true_of_class = truth.where(truth.label == label)
        rank = np.argsort(-found_of_class.score, kind="stable")
        overlap = overlaps(found_of_class.where(rank), true_of_class)
        precisions = []
        for threshold in thresholds:
            correct = match(overlap, threshold)
            precisions.append(average_precision(correct, len(true_of_class)))
        by_class.append(precisions)
    return np.mean(by_class, 0)


def classification_map(scores: np.ndarray, present: np.ndarray) -> float:
    """Mean over classes of the average precision of ranking videos.

    Args:
        scores: (V, K).
        present: (V, K) bool; classes that no video has are left out.
    """
    order = np.argsort(-scores, 0, kind="stable")
    ranked = np.take_along_axis(present, order, 0)
    precisions = []
    for column in ranked.T:
        if column.any():
            precisions.append(average_precision(column, column.sum()))
    return float(np.mean(precisions))


def hit_at(scores: np.ndarray, present: np.ndarray, rank: int) -> float:
    """Share of videos with a true class among their ``rank`` highest scores.

    Args:
        scores: (V, K).
        present: (V, K) bool, the true classes.
        rank: how many answers a video has.
    """
    best = np.argsort(-scores, 1, kind="stable")[:, :rank]
    right = np.take_along_axis(present, best, 1)  # (V, rank)
    return float(right.any(1).mean())


def classes_returned(found: Segments, truth: Segments, classes: int) -> float:
    """Share of the true pairs of video and class of which some segment is returned.

    Where the segment lies does not count.
    """
    true_pairs = np.unique(truth.video * classes + truth.label)
    found_pairs = np.unique(found.video * classes + found.label)
    return float(np.isin(true_pairs, found_pairs).mean())
