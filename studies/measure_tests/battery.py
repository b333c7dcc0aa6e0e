"""Every measure through every test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from studies.measure_tests.changes import Series
from studies.measure_tests.material import Layer, Material
from studies.measure_tests.statistics import (
    auc,
    growing,
    mean,
    mostly_missing,
    rank_correlation,
    reordered_correlations,
    retrieved,
    shuffled_correlations,
)
from studies.measure_tests.trials import (
    BY_NAME,
    Outcome,
    Trial,
    of_replicates,
    of_share,
    undefined,
    verdict,
)
from vidrep.random_streams import stream
from vidrep.similarity import all_pairs, find
from vidrep.similarity.kernel import Kernel
from vidrep.similarity.measure import Prepared
from vidrep.statistics import permutation_p

PERMUTATIONS = 999
TRIAL_COLUMNS = (
    "evaluated_on",
    "measure",
    "test",
    "value",
    "ci_low",
    "ci_high",
    "p",
    "chance",
    "bar",
    "n",
    "verdict",
)


def judge_all(
    material: Material, dataset: str, measures: Sequence[str], report: Callable[[str], None]
) -> list[tuple]:
    """Rows of ``TRIAL_COLUMNS`` for all measures and tests; ``report`` gets a line a measure."""
    rows = []
    for name in measures:
        summary = []
        for trial, outcome in judge(material, name):
            row = (dataset, name, trial.name, *_cells(trial, outcome))
            rows.append(row)
            value = row[TRIAL_COLUMNS.index("value")] or "-"
            summary.append(f"{trial.name} {value} {verdict(trial, outcome)}")
        report(f"{name}: {', '.join(summary)}")
    return rows


def _cells(trial: Trial, outcome: Outcome) -> tuple:
    """The cells of a row from ``value`` on; a number that is missing leaves its cell empty."""
    numbers = (outcome.value, outcome.low, outcome.high, outcome.p, outcome.chance)
    texts = ["" if np.isnan(number) else f"{number:.4f}" for number in numbers]
    return (*texts, f"{trial.bar:g}", outcome.n, verdict(trial, outcome))


def judge(material: Material, measure: str) -> list[tuple[Trial, Outcome]]:
    """What each test found of one measure."""
    groups = {name: [] for name in material.systems}
    for layer in material.layers:
        groups[layer.system].append(layer)
    within = {name: likeness(group, measure) for name, group in groups.items()}
    embeddings = material.embeddings()
    between = likeness(embeddings, measure)
    changed = [changes_under(measure, series) for series in material.series]
    removals = []
    for change in changed:
        removals += [change.leading, change.trailing]
    found = {
        "layer_retrieval": layer_retrieval(groups, within),
        "seed_and_layer": seed_and_layer(groups, within),
        "seed_and_system": seed_and_system(embeddings, between),
        "components_accuracy": components_accuracy(material, changed),
        "components_monotone": monotone(removals),
        "noise_monotone": monotone([change.noisy for change in changed]),
        **answers(material, embeddings, between),
    }
    return [(BY_NAME[name], outcome) for name, outcome in found.items()]


# --- Values of a measure. ---


def likeness(layers: Sequence[Layer], measure: str) -> np.ndarray:
    """(R, R) values, mean of both orders, turned so that larger is more alike."""
    values = all_pairs([layer.kernel for layer in layers], measure).values
    return _sign(measure) * (values + values.T) / 2


def distances(original: Kernel, versions: Sequence[Kernel], measure: str) -> np.ndarray:
    """Values (V,) between a layer and its versions, turned so that larger is less alike.

    They are the mean of both orders.
    """
    spec = find(measure)
    options = spec.settings({})
    prepared = []
    for kernel in (original, *versions):
        ready = Prepared(kernel.flag, None) if kernel.flag else spec.prepare(kernel, options)
        prepared.append(ready)
    first = prepared[:1]
    others = prepared[1:]
    values = spec.cross(first, others, options).values[0]
    if not spec.symmetric:
        back = spec.cross(others, first, options).values[:, 0]
        values = (values + back) / 2
    return -_sign(measure) * values


def _sign(measure: str) -> int:
    return -1 if find(measure).direction == "distance" else 1


@dataclass(frozen=True)
class Changes:
    """Distances from a layer to itself, which come first, and to its changed versions.

    Attributes:
        series: the layer and its versions.
        leading, trailing: (1 + k,) without more and more components.
        noisy: (1 + k,) with more and more noise.
    """

    series: Series
    leading: np.ndarray
    trailing: np.ndarray
    noisy: np.ndarray


def changes_under(measure: str, series: Series) -> Changes:
    """The distances of one series."""
    versions = [series.original, *series.leading, *series.trailing, *series.noisy]
    itself, *others = distances(series.original, versions, measure)
    first = len(series.leading)
    second = first + len(series.trailing)
    return Changes(
        series,
        leading=np.array([itself, *others[:first]]),
        trailing=np.array([itself, *others[first:second]]),
        noisy=np.array([itself, *others[second:]]),
    )


# --- The tests. ---


def layer_retrieval(groups: dict[str, list[Layer]], within: dict[str, np.ndarray]) -> Outcome:
    """Is a layer found again in the same system trained with another seed?"""
    hits = []
    chance = []
    for name, group in groups.items():
        seeds = [layer.seed for layer in group]
        names = [layer.name for layer in group]
        hits.append(retrieved(within[name], seeds, names))
        chance += [1 / len(set(names))] * len(group)
        if np.isnan(within[name]).mean() > 0.5:
            return undefined(len(chance), float(np.mean(chance)))
    return of_share(np.concatenate(hits), float(np.mean(chance)))


def seed_and_layer(groups: dict[str, list[Layer]], within: dict[str, np.ndarray]) -> Outcome:
    """Does another seed change less than another layer?"""

    def value(seeds: set[int]) -> float:
        each = []
        for name, group in groups.items():
            alike, unlike = split_pairs(within[name], group, seeds, by="name")
            each.append(auc(alike, unlike))
        return mean(each)

    pairs = 0
    for name, group in groups.items():
        alike, unlike = split_pairs(within[name], group, _seeds(group), by="name")
        pairs += len(alike) + len(unlike)
    seeds = _seeds(next(iter(groups.values())))
    return _jackknifed("seed_and_layer", value, seeds, pairs, 0.5)


def seed_and_system(embeddings: list[Layer], between: np.ndarray) -> Outcome:
    """Does another seed change less than another system?"""

    def value(seeds: set[int]) -> float:
        alike, unlike = split_pairs(between, embeddings, seeds, by="system")
        return auc(alike, unlike)

    seeds = _seeds(embeddings)
    alike, unlike = split_pairs(between, embeddings, seeds, by="system")
    return _jackknifed("seed_and_system", value, seeds, len(alike) + len(unlike), 0.5)


def split_pairs(
    values: np.ndarray, layers: list[Layer], seeds: set[int], *, by: str
) -> tuple[np.ndarray, np.ndarray]:
    """Values between runs with different ``seeds``, in two groups.

    Returns:
        Those of pairs with the same attribute ``by``, and those of pairs with different ones.
    """
    alike = []
    unlike = []
    for i, j in combinations(range(len(layers)), 2):
        a = layers[i]
        b = layers[j]
        if a.seed == b.seed or not {a.seed, b.seed} <= seeds:
            continue
        group = alike if getattr(a, by) == getattr(b, by) else unlike
        group.append(values[i, j])
    return np.array(alike), np.array(unlike)


def components_accuracy(material: Material, changed: list[Changes]) -> Outcome:
    """Is a change as large as the accuracy that it costs?"""
    draw = stream(material.seed, "sanity", "components")
    each = []
    null = []
    for change in changed:
        distance = np.concatenate([change.leading[1:], change.trailing[1:]])
        losses = change.series.losses
        each.append(rank_correlation(distance, losses))
        null.append(shuffled_correlations(distance, losses, PERMUTATIONS, draw))
    each = np.array(each)
    seeds = np.array([change.series.seed for change in changed])
    left_out = np.array([mean(each[seeds != seed]) for seed in np.unique(seeds)])
    p = permutation_p(mean(each), np.mean(null, axis=0))
    return of_replicates(mean(each), left_out, BY_NAME["components_accuracy"], len(each), 0.0, p)


def monotone(rows: list[np.ndarray]) -> Outcome:
    """Share of steps at which distances grow, in rows that begin with that of a layer to itself."""
    shares = np.array([growing(row) for row in rows])
    if mostly_missing(shares):
        return undefined(len(shares), 0.5)
    return of_share(np.nan_to_num(shares), 0.5)


def answers(material: Material, embeddings: list[Layer], between: np.ndarray) -> dict[str, Outcome]:
    """Distance of embeddings against different answers, over all runs and within systems."""
    places = []
    for i, layer in enumerate(embeddings):
        if (layer.system, layer.seed) in material.answers:
            places.append(i)
    layers = [embeddings[i] for i in places]
    distance = -between[np.ix_(places, places)]
    given = [material.answers[layer.system, layer.seed] for layer in layers]
    different = np.array([[_share_different(a, b) for b in given] for a in given])

    everywhere = [np.arange(len(layers))]
    asked = {"answers": everywhere}
    # of three seeds, leaving one out leaves a single pair, which has no correlation
    if len(_seeds(layers)) > 3:
        systems = np.array([layer.system for layer in layers])
        names = dict.fromkeys(systems)
        asked["answers_within"] = [np.flatnonzero(systems == name) for name in names]

    found = {}
    for name, parts in asked.items():
        draw = stream(material.seed, "sanity", name)
        found[name] = _answers(BY_NAME[name], parts, distance, different, layers, draw)
    return found


def _share_different(a: np.ndarray, b: np.ndarray) -> float:
    """Share of clips to which two runs give different sets of classes."""
    return float(np.mean((a != b).any(axis=1)))


def _answers(
    trial: Trial,
    parts: list[np.ndarray],
    distance: np.ndarray,
    different: np.ndarray,
    layers: list[Layer],
    draw: np.random.Generator,
) -> Outcome:
    """Rank correlation of two matrices, mean over ``parts``, which are lists of runs.

    p by re-ordering the runs of each part.
    """

    def value(seeds: set[int]) -> float:
        found = []
        for part in parts:
            kept = part[[layers[i].seed in seeds for i in part]]
            chosen = np.ix_(kept, kept)
            upper = np.triu_indices(len(kept), 1)
            found.append(rank_correlation(distance[chosen][upper], different[chosen][upper]))
        return mean(found)

    correlations = []
    pairs = 0
    for part in parts:
        chosen = np.ix_(part, part)
        correlations.append(
            reordered_correlations(distance[chosen], different[chosen], PERMUTATIONS, draw)
        )
        pairs += len(part) * (len(part) - 1) // 2
    observed, *null = np.mean(correlations, axis=0)
    p = permutation_p(observed, np.array(null))
    return _jackknifed(trial.name, value, _seeds(layers), pairs, 0.0, p)


def _jackknifed(
    name: str, value: Callable[[set], float], seeds: set, n: int, chance: float, p: float = np.nan
) -> Outcome:
    """A statistic of runs with its interval: each seed is left out of all systems in turn."""
    left_out = np.array([value(seeds - {seed}) for seed in sorted(seeds)])
    return of_replicates(value(seeds), left_out, BY_NAME[name], n, chance, p)


def _seeds(layers: Sequence[Layer]) -> set[int]:
    return {layer.seed for layer in layers}
