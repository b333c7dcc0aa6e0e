"""The score of every test clip by every run: what pairs two runs, clip by clip.

``clip_scores/<evaluated on>/<run>.npz`` holds ``ids``, the names of the clips, ``labels`` (n,
classes) uint8, and of each score of each clip an array ``<split>/<metric>`` (n,) float32, in the
order of ``ids``. Splits are ``test`` and, on the run's own data set, ``test_<control>`` of the same
clips manipulated. Runs that answer with classes also have ``<split>/probabilities`` (n, classes).
Tables hold the means of these arrays, and what is made of the probabilities of all clips together.
"""

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidrep.files import whole
from vidrep.readouts import (
    EXACT_SET_MAP,
    MEAN_AVERAGE_PRECISION,
    PROBABILITIES,
    LabelSets,
    exact_sets,
    mean_average_precision,
)

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
    """

    file: Path
    ids: np.ndarray
    labels: np.ndarray
    values: dict[tuple[str, str], np.ndarray]

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
    path: Path, ids: Sequence[str], labels: np.ndarray, by_split: dict[str, Scores]
) -> None:
    """Write the scores of a run; the same scores give the same bytes.

    Args:
        path: the .npz file.
        ids: names of the clips, n of them.
        labels: (n, classes) uint8 multi-hot.
        by_split: from a split to the scores of its clips, (n,) each.

    Raises:
        ValueError: not one score for each clip.
    """
    arrays = {"ids": np.array(ids, dtype=str), "labels": labels}
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
    values = {}
    for name, array in arrays.items():
        split, _, metric = name.partition("/")
        if len(array) != len(ids):
            raise ValueError(f"{path}: {name} is of {len(array)} clips, ids of {len(ids)}")
        values[split, metric] = array
    return ClipScores(path, ids, labels, values)


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


def summary(scores: Scores, labels: np.ndarray) -> dict[str, float]:
    """What tables tell of a split: the means, and of probabilities their mean average precision."""
    told = means(scores)
    if PROBABILITIES in scores:
        told[MEAN_AVERAGE_PRECISION] = mean_average_precision(scores[PROBABILITIES], labels)
    return told


def with_exact_set_map(scores: Scores, labels: np.ndarray, sets: LabelSets) -> Scores:
    """Scores with ``exact_set_map`` beside them: is the most probable label set the right one?"""
    if PROBABILITIES not in scores:
        return scores
    predicted = sets.most_probable(scores[PROBABILITIES])
    return {**scores, EXACT_SET_MAP: exact_sets(predicted, labels)}
