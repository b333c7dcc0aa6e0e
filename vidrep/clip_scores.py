"""The score of every test clip by every run: what pairs two runs, clip by clip.

``clip_scores/<evaluated on>/<run>.npz`` holds ``ids``, the names of the clips, ``labels`` (n,
classes) uint8, and of each score of each clip an array ``<split>/<metric>`` (n,) float32, in the
order of ``ids``; where clips are not independent also ``groups`` (n,). ``about``, JSON, tells
whose scores they are. Windows of one video count as one clip. Splits are ``test`` and, on the run's
own data set, ``test_<control>`` of the same clips manipulated. Runs that answer with classes also
have ``<split>/probabilities`` (n, classes). Tables hold the means of these arrays, and what is made
of the probabilities of all clips together.
"""

import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidrep.files import whole
from vidrep.random_streams import stream
from vidrep.readouts import (
    EXACT_SET_MAP,
    MEAN_AVERAGE_PRECISION,
    PROBABILITIES,
    LabelSets,
    exact_sets,
    mean_average_precision,
    weighted_mean_average_precision,
)
from vidrep.statistics import (
    bootstrap_weights,
    enough,
    grouped_interval,
    numbered,
    percentile_interval,
    share_interval,
    wilson_interval,
)

MEAN_CLASS = "mean_class_accuracy"
DRAWS = 200  # bootstrap samples
# of one split: from a metric to the score of each clip, (n,); PROBABILITIES are (n, classes)
Scores = dict[str, np.ndarray]


@dataclass(frozen=True)
class ClipScores:
    """The scores of one run on the clips of one data set.

    Attributes:
        file: where they stand.
        ids: names of the clips, (n,) str.
        labels: (n, classes) uint8 multi-hot.
        values: from (split, metric) to (n,) float32, probabilities (n, classes).
        groups: (n,) str, what each clip shares with others; None where clips are independent.
        about: whose they are: dataset (trained on), system, seed, evaluated_on; empty if not told.
    """

    file: Path
    ids: np.ndarray
    labels: np.ndarray
    values: dict[tuple[str, str], np.ndarray]
    groups: np.ndarray | None = None
    about: Mapping[str, str | int] = field(default_factory=dict)

    def of(self, metric: str, split: str = "test") -> np.ndarray:
        """One score of every clip, (n,) float32, or the probabilities, (n, classes).

        Raises:
            ValueError: the run has no such score.
        """
        if (split, metric) not in self.values:
            known = sorted(name for place, name in self.values if place == split)
            raise ValueError(
                f"{self.file}: no score {metric} of split {split}; that split has"
                f" {', '.join(known) or 'none'}"
            )
        return self.values[split, metric]


def write_clip_scores(
    path: Path,
    ids: Sequence[str],
    labels: np.ndarray,
    by_split: dict[str, Scores],
    groups: Sequence[str] | None = None,
    about: Mapping[str, str | int] | None = None,
) -> None:
    """Write the scores of a run; the same scores give the same bytes.

    Args:
        path: the .npz file.
        ids: names of the clips, n of them.
        labels: (n, classes) uint8 multi-hot.
        by_split: from a split to the scores of its clips, (n,) each.
        groups: what each clip shares with others, where clips are not independent.
        about: see ``ClipScores``.

    Raises:
        ValueError: not one score for each clip.
    """
    arrays = {"ids": np.array(ids, dtype=str), "labels": labels}
    if groups is not None:
        arrays["groups"] = np.array(groups, dtype=str)
    if about is not None:
        arrays["about"] = np.array(json.dumps(about, sort_keys=True))
    for split, scores in by_split.items():
        for metric, values in scores.items():
            expected = labels.shape if metric == PROBABILITIES else (len(ids),)
            if values.shape != expected:
                raise ValueError(
                    f"{path}: {split}/{metric} has shape {values.shape}; that of {len(ids)} clips"
                    f" is {expected}"
                )
            arrays[f"{split}/{metric}"] = values.astype(np.float32)
    with whole(path) as beside:
        np.savez_compressed(beside, **arrays)


def read_clip_scores(path: str | Path) -> ClipScores:
    """Read the scores of a run.

    Raises:
        ValueError: the file is damaged, or is none of ``write_clip_scores``.
        OSError: it is missing.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read as scores of clips ({error})") from error
    missing = [name for name in ("ids", "labels") if name not in arrays]
    if missing:
        raise ValueError(f"{path}: has no array {' nor '.join(missing)} of its clips")
    ids = arrays.pop("ids")
    labels = arrays.pop("labels")
    groups = arrays.pop("groups", None)
    about = json.loads(str(arrays.pop("about", "{}")))
    values = {}
    for name, array in arrays.items():
        split, _, metric = name.partition("/")
        if len(array) != len(ids):
            raise ValueError(f"{path}: {name} is of {len(array)} clips, ids of {len(ids)}")
        values[split, metric] = array
    return ClipScores(path, ids, labels, values, groups, about)


def paired(
    runs: Iterable[ClipScores],
    metric: str,
    split: str = "test",
) -> np.ndarray:
    """One score of several runs on the same clips, side by side: (runs, n) float32.

    Raises:
        ValueError: the runs were scored on other clips, or one has no such score.
    """
    runs = list(runs)
    first = runs[0]
    for other in runs[1:]:
        if not np.array_equal(first.ids, other.ids):
            raise ValueError(
                f"{other.file}: holds scores of other clips than {first.file}; only the same clips"
                " can be paired"
            )
    return np.stack([run.of(metric, split) for run in runs])


def means(scores: Scores) -> dict[str, float]:
    """Mean of each score over the clips; probabilities have none."""
    return {
        metric: float(values.mean(dtype=np.float64))
        for metric, values in scores.items()
        if metric != PROBABILITIES
    }


def summary(scores: Scores, labels: np.ndarray, *, multi_label: bool = True) -> dict[str, float]:
    """What tables tell of a split: the means, and of probabilities their mean average precision.

    Of clips with one label each also ``MEAN_CLASS``, the mean over classes of ``exact_set``.
    """
    told = means(scores)
    if PROBABILITIES in scores:
        told[MEAN_AVERAGE_PRECISION] = mean_average_precision(scores[PROBABILITIES], labels)
    if not multi_label and "exact_set" in scores:
        shown = labels[:, labels.any(0)]
        of_classes = scores["exact_set"] @ shown / shown.sum(0)
        told[MEAN_CLASS] = float(of_classes.mean())
    return told


def interval(values: np.ndarray, groups: Sequence[str] | None) -> tuple[float, float]:
    """95 % interval of the mean of a score over clips: of right and wrong answers Wilson's.

    Args:
        values: (n,) scores.
        groups: what each clip shares with others; None where clips are independent.
    """
    if not np.isin(values, (0, 1)).all():
        return grouped_interval(values, groups)[1:]
    if groups is not None:
        return share_interval(values, groups)
    low, high = wilson_interval(values.mean(dtype=np.float64), len(values))
    return float(low), float(high)


def ranking_interval(
    probabilities: np.ndarray, labels: np.ndarray, groups: Sequence[str] | None
) -> tuple[float, float]:
    """95 % interval of the mean average precision, from bootstrap samples of clips or of groups.

    Args:
        probabilities, labels: (n, classes).
        groups: what each clip shares with others; None where clips are independent.

    Returns:
        NaN twice where there are too few to draw from.
    """
    _, independent = numbered(groups, len(labels))
    if not enough(independent, len(labels)):
        return float("nan"), float("nan")
    rng = stream(0, MEAN_AVERAGE_PRECISION)
    weights = bootstrap_weights(groups, len(labels), DRAWS, rng)
    drawn = weighted_mean_average_precision(probabilities, labels, weights)
    low, high = percentile_interval(drawn)
    return float(low), float(high)


def with_exact_set_map(scores: Scores, labels: np.ndarray, sets: LabelSets) -> Scores:
    """Scores with ``exact_set_map`` beside them: is the most probable label set the right one?"""
    if PROBABILITIES not in scores:
        return scores
    predicted = sets.most_probable(scores[PROBABILITIES])
    return {**scores, EXACT_SET_MAP: exact_sets(predicted, labels)}
