"""The long table of a functional comparison: one row per pair of runs and metric."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from vidrep.functional_similarity import agreement as agree
from vidrep.functional_similarity.answers import NO_CLASSES, Answers
from vidrep.functional_similarity.stitching import Stitcher
from vidrep.random_streams import stream
from vidrep.result_tables import number, write_rows
from vidrep.statistics import (
    FEWEST_FOR_INTERVALS,
    bootstrap_counts,
    percentile_interval,
    wilson_interval,
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


def share_interval(hits: np.ndarray) -> tuple[float, float]:
    """Wilson's 95 % interval of the share of true values in (n,) bool; NaN for few clips."""
    if len(hits) < FEWEST_FOR_INTERVALS:
        return np.nan, np.nan
    low, high = wilson_interval(hits.mean(), len(hits))
    return float(low), float(high)


def agreement_rows(
    runs: Sequence[Answers], truth: np.ndarray, multi_label: bool, seed: int
) -> Iterator[tuple]:
    """Rows of all symmetric metrics, each unordered pair of different runs once.

    Args:
        runs: answers on the same n clips.
        truth: (n, classes) bool.
        multi_label: may a clip carry several labels?
        seed: of the bootstrap.
    """
    n = len(truth)
    scores = np.array([run.scores for run in runs])
    sets = np.array([run.sets for run in runs])
    given = agree.categories(sets)
    right = (sets == truth).all(axis=-1)
    divergence = agree.divergences(scores, multi_label)
    equal = np.full((1, n), 1 / n)
    draws = bootstrap_counts(n, DRAWS, stream(seed, "functional", "bootstrap", n)) / n
    metrics = {
        "agreement": (
            lambda weights: agree.agreement(given, weights),
            agree.chance_agreement(given, equal)[0],
        ),
        "kappa": (lambda weights: agree.cohen(given, weights), None),
        "error_consistency": (lambda weights: agree.error_consistency(right, weights), None),
        "js_divergence": (
            lambda weights: agree.means(divergence, weights),
            agree.chance_divergence(scores, multi_label),
        ),
    }
    for metric, (statistic, chance) in metrics.items():
        values = statistic(equal)[0]
        ends = (
            percentile_interval(statistic(draws))
            if n >= FEWEST_FOR_INTERVALS
            else np.full((2, *values.shape), np.nan)
        )
        for i, j in zip(*np.triu_indices(len(runs), 1), strict=True):
            interval = (
                share_interval(given[i] == given[j]) if metric == "agreement" else ends[:, i, j]
            )
            by_chance = 0.0 if chance is None else chance[i, j]
            undefined = np.isnan(values[i, j])
            numbers = (values[i, j], *interval, n, np.nan if undefined else by_chance)
            yield (
                runs[i].run,
                runs[j].run,
                metric,
                *map(number, numbers),
                UNDEFINED if undefined else "",
            )


def stitching_rows(
    runs: Sequence[Answers], heads: Mapping[str, Head], truth: np.ndarray, seed: int
) -> Iterator[tuple]:
    """Rows of both stitching metrics for all ordered pairs, a run with itself among them: that
    shows what the ridge alone costs.

    Args:
        runs: answers on the same n clips.
        heads: run -> function from readouts by stream (n, S, D) to label sets (n, classes).
        truth: (n, classes) bool.
        seed: of the bootstrap.
    """
    n = len(truth)
    draws = bootstrap_counts(n, DRAWS, stream(seed, "functional", "bootstrap", n)) / n
    constant = {run.run: run.fit.mean(axis=0, keepdims=True) for run in runs}
    floor = {b.run: exact(heads[b.run](b.streams(constant[b.run])), truth).mean() for b in runs}
    for a in runs:
        stitcher = Stitcher(a.fit, a.test)
        for b in runs:
            stitched = exact(heads[b.run](b.streams(stitcher.map(b.fit))), truth)
            lost = exact(b.sets, truth).astype(float) - stitched
            ends = (np.nan, np.nan)
            if n >= FEWEST_FOR_INTERVALS:
                ends = percentile_interval(draws @ lost)
            numbers = (stitched.mean(), *share_interval(stitched), n, floor[b.run])
            yield a.run, b.run, "stitched_accuracy", *map(number, numbers), ""
            own = exact(b.sets, truth).mean()
            yield (
                a.run,
                b.run,
                "accuracy_lost",
                *map(number, (lost.mean(), *ends, n, own - floor[b.run])),
                "",
            )


def exact(sets: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(n,) bool: is the whole label set right?"""
    return (sets == truth).all(axis=-1)


def write_functional_table(
    path: str | os.PathLike,
    answers: Mapping[str, Answers],
    without: Sequence[str],
    heads: Mapping[str, Head],
    truth: np.ndarray,
    *,
    multi_label: bool,
    seed: int,
) -> None:
    """Write all rows; runs that answer with no classes get one row that says so."""
    runs = list(answers.values())
    rows = (
        [*agreement_rows(runs, truth, multi_label, seed), *stitching_rows(runs, heads, truth, seed)]
        if runs
        else []
    )
    rows += [(run, "", "", "", "", "", "", "", NO_CLASSES) for run in without]
    write_rows(path, FUNCTIONAL_COLUMNS, rows)
