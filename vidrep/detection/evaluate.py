"""Scores of temporal activity detection: average precision of segments and of video labels."""

import numpy as np

from vidrep.detection.postprocess import Segments

THRESHOLDS = tuple(round(0.1 * i, 1) for i in range(1, 10))  # temporal IoU


def overlaps(found: Segments, truth: Segments) -> np.ndarray:
    """Temporal intersection over union of all pairs, (found, truth); 0 between segments of
    different videos.
    """
    shared = np.minimum(found.end_s[:, None], truth.end_s) - np.maximum(
        found.start_s[:, None], truth.start_s
    )
    shared = np.clip(shared, 0, None) * (found.video[:, None] == truth.video)
    lengths = (found.end_s - found.start_s)[:, None] + (truth.end_s - truth.start_s)
    return shared / np.maximum(lengths - shared, np.finfo(float).tiny)


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
    """Area under precision against recall, precision made monotone from the right, as in
    ActivityNet's evaluation.

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
    """Mean over the classes of the truth of average precision, one value for each threshold of
    temporal IoU.
    """
    values = []
    for label in np.unique(truth.label):
        of_class = found.where(found.label == label)
        there = truth.where(truth.label == label)
        ranked = of_class.where(np.argsort(-of_class.score, kind="stable"))
        overlap = overlaps(ranked, there)
        values.append(
            [average_precision(match(overlap, threshold), len(there)) for threshold in thresholds]
        )
    return np.mean(values, 0)


def classification_map(scores: np.ndarray, present: np.ndarray) -> float:
    """Mean over classes of the average precision of ranking videos.

    Args:
        scores: (V, K).
        present: (V, K) bool; classes that no video has are left out.
    """
    order = np.argsort(-scores, 0, kind="stable")
    ranked = np.take_along_axis(present, order, 0)
    return float(
        np.mean([average_precision(column, column.sum()) for column in ranked.T if column.any()])
    )


def hit_at(scores: np.ndarray, present: np.ndarray, rank: int) -> float:
    """Share of videos with a true class among their ``rank`` highest scores (V, K)."""
    best = np.argsort(-scores, 1, kind="stable")[:, :rank]
    return float(np.take_along_axis(present, best, 1).any(1).mean())


def classes_returned(found: Segments, truth: Segments, classes: int) -> float:
    """Share of the true pairs (video, class) of which some segment is returned, wherever it
    lies.
    """
    true, returned = (np.unique(part.video * classes + part.label) for part in (truth, found))
    return float(np.isin(true, returned).mean())
