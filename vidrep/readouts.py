"""Readouts of class probabilities beside the published threshold.

A threshold on every class asks a network for calibrated probabilities, which one that has learnt
little does not have: with two of ten digits in a clip the commonest answer is none at all. Two
readouts ask only for an order:

* the most probable of the label sets that occur, ``exact_set_map``;
* average precision, the mean over classes of the area under precision against recall,
  ``mean_average_precision``.
"""

from dataclasses import dataclass

import numpy as np

# probabilities are kept this far from 0 and 1, where log odds are infinite
MARGIN = 1e-6
PROBABILITIES = "probabilities"
EXACT_SET_MAP = "exact_set_map"
MEAN_AVERAGE_PRECISION = "mean_average_precision"


@dataclass(frozen=True)
class LabelSets:
    """The label sets that occur in a data set, and how often.

    Attributes:
        sets: (k, classes) bool, each set once.
        log_prior: (k,) log of their shares.
        class_log_odds: (classes,) log odds of the share of clips that show a class.
    """

    sets: np.ndarray
    log_prior: np.ndarray
    class_log_odds: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray) -> "LabelSets":
        """Those of labels (n, classes) of 0 and 1, which are to be the training split's."""
        sets, counts = np.unique(labels > 0, axis=0, return_counts=True)
        shares = counts / counts.sum()
        return cls(sets, np.log(shares), _log_odds((labels > 0).mean(0)))

    def most_probable(self, probabilities: np.ndarray) -> np.ndarray:
        """The most probable set of each clip, (n, classes) bool.

        Given the clip, classes count as independent but for the set's prior:
        P(S | x) is proportional to P(S) times the product over the classes c of S of
        odds(c | x) / odds(c). Of equally probable sets the first in the order of ``sets`` is taken.

        Args:
            probabilities: (n, classes) of each class by itself, in [0, 1].
        """
        evidence = _log_odds(probabilities) - self.class_log_odds  # (n, classes)
        posterior = evidence @ self.sets.T + self.log_prior  # (n, k)
        return self.sets[posterior.argmax(1)]


def _log_odds(shares: np.ndarray) -> np.ndarray:
    inner = np.clip(np.asarray(shares, np.float64), MARGIN, 1 - MARGIN)
    return np.log(inner) - np.log1p(-inner)


def exact_sets(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Is the whole label set right? Both (n, classes) -> (n,) of 0 and 1."""
    return (predicted == (labels > 0)).all(1).astype(np.float64)


def mean_average_precision(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of average precision, as in scikit-learn's ``average_precision_score``.

    A constant answer has the mean share of clips that show a class. Classes that no clip shows do
    not count.

    Args:
        probabilities: (n, classes), of which only the order of clips within a class counts.
        labels: (n, classes) of 0 and 1.

    Returns:
        In [0, 1]; NaN if no clip shows any class.
    """
    once = np.ones((1, len(labels)))
    return float(weighted_mean_average_precision(probabilities, labels, once)[0])


def weighted_mean_average_precision(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The same of clips that count as often as ``weights`` (draws, n) say: (draws,)."""
    shown = labels > 0
    found = []
    for column in np.flatnonzero(shown.any(0)):
        found.append(average_precision(probabilities[:, column], shown[:, column], weights))
    if not found:
        return np.full(len(weights), np.nan)
    by_class = np.array(found)  # (classes that are shown, draws)
    known = ~np.isnan(by_class)
    return np.nansum(by_class, 0) / known.sum(0)


def average_precision(scores: np.ndarray, present: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum over thresholds of the precision there times the recall gained: (draws,).

    Args:
        scores: (n,).
        present: (n,) bool.
        weights: (draws, n), how often each clip counts; NaN where no weight is on clips present.
    """
    order = np.argsort(-scores, kind="stable")
    # clips of equal score are taken together, so only the last of them is a threshold
    last = np.append(np.diff(scores[order]) != 0, True)
    counts = weights[:, order]
    hits = np.cumsum(counts * present[order], 1)[:, last]
    taken = np.cumsum(counts, 1)[:, last]
    all_hits = hits[:, -1:]
    precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
    recall = np.divide(hits, all_hits, out=np.full_like(hits, np.nan), where=all_hits > 0)
    gained = np.diff(recall, prepend=0.0)
    return np.sum(precision * gained, 1)
