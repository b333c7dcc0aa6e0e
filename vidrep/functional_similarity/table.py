"""The long table of a functional comparison: one row per pair of runs and metric."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vidrep.functional_similarity import agreement as agree
from vidrep.functional_similarity.answers import NO_CLASSES, Answers, EvaluationClips
from vidrep.functional_similarity.stitching import Stitcher
from vidrep.random_streams import stream
from vidrep.result_tables import number, write_rows
from vidrep.statistics import (
    TOO_FEW_GROUPS,
    bootstrap_weights,
    enough,
    numbered,
    percentile_interval,
    share_interval,
)

FUNCTIONAL_COLUMNS = (
    "run_a",
    "run_b",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "chance",
    "flag",
)
DRAWS = 1000  # bootstrap samples
# one of the two runs leaves nothing to chance: always the same answer, always right or always wrong
UNDEFINED = "undefined"
Head = Callable[[dict[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Metric:
    """A symmetric metric of all pairs of R runs.

    Attributes:
        name: in the table.
        statistic: from weights of n clips, (draws, n), to values (draws, R, R).
        chance: (R, R) values for answers that are re-paired at random.
    """

    name: str
    statistic: Callable[[np.ndarray], np.ndarray]
    chance: np.ndarray


def metrics(
    runs: Sequence[Answers],
    truth: np.ndarray,
    multi_label: bool,
    equal: np.ndarray,
) -> list[Metric]:
    """All symmetric metrics of runs; ``equal``: (1, n) equal weights of the clips."""
    scores = np.array([run.scores for run in runs])
    sets = np.array([run.sets for run in runs])
    given = agree.categories(sets)
    right = exact(sets, truth)
    divergence = agree.divergences(scores, multi_label)
    none = np.zeros((len(runs), len(runs)))
    return [
        Metric(
            "agreement",
            partial(agree.agreement, given),
            agree.chance_agreement(given, equal)[0],
        ),
        Metric("kappa", partial(agree.cohen, given), none),
        Metric("error_consistency", partial(agree.error_consistency, right), none),
        Metric(
            "js_divergence",
            partial(agree.means, divergence),
            agree.chance_divergence(scores, multi_label),
        ),
    ]


def agreement_rows(
    runs: Sequence[Answers],
    clips: EvaluationClips,
    multi_label: bool,
    seed: int,
) -> Iterator[tuple]:
    """Rows of all symmetric metrics, each unordered pair of different runs once.

    Args:
        runs: answers on the same n clips.
        clips: these.
        multi_label: may a clip carry several labels?
        seed: of the bootstrap.
    """
    truth = clips.truth
    n = len(truth)
    equal = np.full((1, n), 1 / n)
    given = agree.categories(np.array([run.sets for run in runs]))
    draws = resampled(clips.groups, n, seed)
    few = _few(clips, draws)
    for metric in metrics(runs, truth, multi_label, equal):
        values = metric.statistic(equal)[0]
        ends = np.full((2, *values.shape), np.nan)
        if draws is not None:
            ends = percentile_interval(metric.statistic(draws))
        for i, j in zip(*np.triu_indices(len(runs), 1), strict=True):
            interval = ends[:, i, j]
            if metric.name == "agreement":
                interval = share_interval(given[i] == given[j], clips.groups)
            undefined = np.isnan(values[i, j])
            chance = np.nan if undefined else metric.chance[i, j]
            cells = map(number, (values[i, j], *interval, n, chance))
            flag = UNDEFINED if undefined else few
            yield runs[i].run, runs[j].run, metric.name, *cells, flag


def stitching_rows(
    runs: Sequence[Answers],
    heads: Mapping[str, Head],
    clips: EvaluationClips,
    seed: int,
) -> Iterator[tuple]:
    """Rows of both stitching metrics for all ordered pairs of runs.

    A run with itself is among them: that shows what the ridge alone costs.

    Args:
        runs: answers on the same n clips.
        heads: run -> function from readouts by stream (n, S, D) to label sets (n, classes).
        clips: these.
        seed: of the bootstrap.
    """
    truth = clips.truth
    n = len(truth)
    draws = resampled(clips.groups, n, seed)
    few = _few(clips, draws)
    floor = {run.run: constant_accuracy(run, heads[run.run], truth) for run in runs}
    for a in runs:
        stitcher = Stitcher(a.fit, a.test)
        for b in runs:
            read = b.streams(stitcher.map(b.fit))
            stitched = exact(heads[b.run](read), truth)
            own = exact(b.sets, truth)
            interval = share_interval(stitched, clips.groups)
            accuracy = map(number, (stitched.mean(), *interval, n, floor[b.run]))
            yield a.run, b.run, "stitched_accuracy", *accuracy, few
            lost = own.astype(float) - stitched
            ends = (np.nan, np.nan)
            if draws is not None:
                ends = percentile_interval(draws @ lost)
            loss = map(number, (lost.mean(), *ends, n, own.mean() - floor[b.run]))
            yield a.run, b.run, "accuracy_lost", *loss, few


def constant_accuracy(run: Answers, head: Head, truth: np.ndarray) -> float:
    """Accuracy of a run's head that reads the same for every clip: the mean of its features."""
    mean = run.fit.mean(axis=0, keepdims=True)
    return exact(head(run.streams(mean)), truth).mean()


def resampled(groups: Sequence[str] | None, n: int, seed: int) -> np.ndarray | None:
    """(``DRAWS``, n) weights of bootstrap samples of n clips, or of their groups.

    None where there are too few of them for intervals.
    """
    _, units = numbered(groups, n)
    if not enough(units, n):
        return None
    return bootstrap_weights(groups, n, DRAWS, stream(seed, "functional", "bootstrap", n))


def _few(clips: EvaluationClips, draws: np.ndarray | None) -> str:
    """The flag of values whose clips come in too few groups for intervals."""
    return TOO_FEW_GROUPS if clips.groups is not None and draws is None else ""


def exact(sets: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(n,) bool: is the whole label set right?"""
    return (sets == truth).all(axis=-1)


def write_functional_table(
    path: str | os.PathLike,
    answers: Mapping[str, Answers],
    without: Sequence[str],
    heads: Mapping[str, Head],
    clips: EvaluationClips,
    *,
    multi_label: bool,
    seed: int,
) -> None:
    """Write all rows; runs that answer with no classes get one row that says so."""
    runs = list(answers.values())
    rows = []
    if runs:
        rows += agreement_rows(runs, clips, multi_label, seed)
        rows += stitching_rows(runs, heads, clips, seed)
    blank = [""] * (len(FUNCTIONAL_COLUMNS) - 2)
    rows += [(run, *blank, NO_CLASSES) for run in without]
    write_rows(path, FUNCTIONAL_COLUMNS, rows)
