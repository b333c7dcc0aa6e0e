"""Every measure through every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations

import numpy as np

from studies.measure_tests.material import Layer, Material
from studies.measure_tests.statistics import (
    auc,
    growing,
    mean,
    rank_correlation,
    reordered_correlations,
    retrieved,
    shuffled_correlations,
)
from studies.measure_tests.trials import BY_NAME, Outcome, Trial, of_replicates, of_share, verdict
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
    """Rows of ``TRIAL_COLUMNS`` for all measures and tests.

    ``report`` receives a line a measure.
    """
    rows = []
    for name in measures:
        found = judge(material, name)
        for trial, outcome in found:
            numbers = (outcome.value, outcome.low, outcome.high, outcome.p, outcome.chance)
            cells = ["" if np.isnan(number) else f"{number:.4f}" for number in numbers]
            rows.append(
                (
                    dataset,
                    name,
                    trial.name,
                    *cells,
                    f"{trial.bar:g}",
                    outcome.n,
                    verdict(trial, outcome),
                )
            )
        report(
            f"{name}: "
            + ", ".join(f"{row[2]} {row[3] or '-'} {row[-1]}" for row in rows[-len(found) :])
        )
    return rows


def judge(material: Material, measure: str) -> list[tuple[Trial, Outcome]]:
    """What each test found of one measure."""
    groups = {
        name: [layer for layer in material.layers if layer.system == name]
        for name in material.systems
    }
    within = {
        name: likeness([layer.kernel for layer in group], measure) for name, group in groups.items()
    }
    embeddings = material.embeddings()
    between = likeness([layer.kernel for layer in embeddings], measure)
    changed = list(changes_under(measure, material))
    found = {
        "layer_retrieval": layer_retrieval(groups, within),
        "seed_and_layer": seed_and_layer(groups, within),
        "seed_and_system": seed_and_system(embeddings, between),
        "components_accuracy": components_accuracy(material, changed),
        "components_monotone": monotone(
            [row for _, leading, trailing, _ in changed for row in (leading, trailing)]
        ),
        "noise_monotone": monotone([noisy for *_, noisy in changed]),
        **answers(material, embeddings, between),
    }
    return [(BY_NAME[name], outcome) for name, outcome in found.items()]


def likeness(kernels: Sequence[Kernel], measure: str) -> np.ndarray:
    """(R, R) values, mean of both orders, turned so that larger is more alike."""
    values = all_pairs(list(kernels), measure).values
    return _sign(measure) * (values + values.T) / 2


def _sign(measure: str) -> int:
    return -1 if find(measure).direction == "distance" else 1


def layer_retrieval(groups: dict[str, list[Layer]], within: dict[str, np.ndarray]) -> Outcome:
    hits = []
    chance = []
    for name, group in groups.items():
        hits.append(
            retrieved(
                within[name], [layer.seed for layer in group], [layer.name for layer in group]
            )
        )
        chance += [1 / len({layer.name for layer in group})] * len(group)
        if np.isnan(within[name]).mean() > 0.5:
            return Outcome(np.nan, np.nan, np.nan, len(chance), float(np.mean(chance)))
    return of_share(np.concatenate(hits), float(np.mean(chance)))


def seed_and_layer(groups: dict[str, list[Layer]], within: dict[str, np.ndarray]) -> Outcome:
    def value(seeds: set[int]) -> float:
        return mean(
            [
                auc(*split_pairs(within[name], group, seeds, by="name"))
                for name, group in groups.items()
            ]
        )

    pairs = sum(
        len(np.concatenate(split_pairs(within[name], group, _seeds(group), by="name")))
        for name, group in groups.items()
    )
    return _jackknifed("seed_and_layer", value, _seeds(next(iter(groups.values()))), pairs, 0.5)


def seed_and_system(embeddings: list[Layer], between: np.ndarray) -> Outcome:
    def value(seeds: set[int]) -> float:
        return auc(*split_pairs(between, embeddings, seeds, by="system"))

    pairs = len(np.concatenate(split_pairs(between, embeddings, _seeds(embeddings), by="system")))
    return _jackknifed("seed_and_system", value, _seeds(embeddings), pairs, 0.5)


def split_pairs(
    values: np.ndarray, layers: list[Layer], seeds: set[int], *, by: str
) -> tuple[np.ndarray, np.ndarray]:
    """Values between runs with different ``seeds``: those with the same attribute ``by``, and those
    with different ones.
    """
    alike = []
    unlike = []
    for i, j in combinations(range(len(layers)), 2):
        a = layers[i]
        b = layers[j]
        if a.seed != b.seed and {a.seed, b.seed} <= seeds:
            (alike if getattr(a, by) == getattr(b, by) else unlike).append(values[i, j])
    return np.array(alike), np.array(unlike)


def changes_under(measure: str, material: Material) -> Iterator[tuple]:
    """For each series: itself, and distances (k,) from the layer to itself and to its versions,
    leading, trailing and noisy.
    """
    for series in material.series:
        parts = (series.leading, series.trailing, series.noisy)
        base, *found = distances(series.original, [series.original, *chain(*parts)], measure)
        ends = np.cumsum([len(part) for part in parts])[:-1]
        yield series, *(np.array([base, *part]) for part in np.split(np.array(found), ends))


def distances(original: Kernel, versions: Sequence[Kernel], measure: str) -> np.ndarray:
    """Values (V,) between a layer and its versions, mean of both orders, turned so that larger is
    less alike.
    """
    spec = find(measure)
    options = spec.settings({})
    prepared = [
        Prepared(kernel.flag, None) if kernel.flag else spec.prepare(kernel, options)
        for kernel in (original, *versions)
    ]
    first = prepared[:1]
    others = prepared[1:]
    values = spec.cross(first, others, options).values[0]
    if not spec.symmetric:
        values = (values + spec.cross(others, first, options).values[:, 0]) / 2
    return -_sign(measure) * values


def components_accuracy(material: Material, changed: list[tuple]) -> Outcome:
    seeds = sorted({series.seed for series, *_ in changed})
    pairs = [
        (np.concatenate([leading[1:], trailing[1:]]), series.losses)
        for series, leading, trailing, _ in changed
    ]
    each = np.array([rank_correlation(*pair) for pair in pairs])
    by_seed = {seed: np.array([series.seed == seed for series, *_ in changed]) for seed in seeds}
    left_out = np.array([mean(each[~chosen]) for chosen in by_seed.values()])
    draw = stream(material.seed, "sanity", "components")
    null = [shuffled_correlations(*pair, PERMUTATIONS, draw) for pair in pairs]
    p = permutation_p(mean(each), np.mean(null, axis=0))
    return of_replicates(mean(each), left_out, BY_NAME["components_accuracy"], len(each), 0.0, p)


def monotone(rows: list[np.ndarray]) -> Outcome:
    shares = np.array([growing(row) for row in rows])
    if np.isnan(shares).mean() > 0.5:
        return Outcome(np.nan, np.nan, np.nan, len(shares), 0.5)
    return of_share(np.nan_to_num(shares), 0.5)


def answers(material: Material, embeddings: list[Layer], between: np.ndarray) -> dict[str, Outcome]:
    """Distance of embeddings against different answers: over all pairs of runs, and within
    systems.
    """
    places = [
        i for i, layer in enumerate(embeddings) if (layer.system, layer.seed) in material.answers
    ]
    layers = [embeddings[i] for i in places]
    distance = -between[np.ix_(places, places)]
    given = [material.answers[layer.system, layer.seed] for layer in layers]
    different = np.array([[np.mean((a != b).any(axis=1)) for b in given] for a in given])
    systems = np.array([layer.system for layer in layers])
    everywhere = [np.arange(len(layers))]
    asked = {"answers": everywhere}
    # of three seeds, leaving one out leaves a single pair, which has no correlation
    if len(_seeds(layers)) > 3:
        asked["answers_within"] = [
            np.flatnonzero(systems == name) for name in dict.fromkeys(systems)
        ]
    return {
        name: _answers(
            BY_NAME[name], parts, distance, different, layers, stream(material.seed, "sanity", name)
        )
        for name, parts in asked.items()
    }


def _answers(
    trial: Trial,
    parts: list[np.ndarray],
    distance: np.ndarray,
    different: np.ndarray,
    layers: list[Layer],
    draw,
) -> Outcome:
    """Mean over ``parts``, lists of runs, of the rank correlation of two matrices; p by re-ordering
    the runs of each part.
    """

    def value(seeds: set[int]) -> float:
        found = []
        for part in parts:
            kept = part[[layers[i].seed in seeds for i in part]]
            upper = np.triu_indices(len(kept), 1)
            found.append(
                rank_correlation(
                    *(matrix[np.ix_(kept, kept)][upper] for matrix in (distance, different))
                )
            )
        return mean(found)

    matrices = [(distance[np.ix_(part, part)], different[np.ix_(part, part)]) for part in parts]
    observed, *null = np.mean(
        [reordered_correlations(*pair, PERMUTATIONS, draw) for pair in matrices], axis=0
    )
    pairs = sum(len(part) * (len(part) - 1) // 2 for part in parts)
    return _jackknifed(
        trial.name, value, _seeds(layers), pairs, 0.0, permutation_p(observed, np.array(null))
    )


def _jackknifed(
    name: str, value: Callable[[set], float], seeds: set, n: int, chance: float, p: float = np.nan
) -> Outcome:
    """A statistic of runs with its interval over seeds: each seed is left out of all systems in
    turn.
    """
    left_out = np.array([value(seeds - {seed}) for seed in sorted(seeds)])
    return of_replicates(value(seeds), left_out, BY_NAME[name], n, chance, p)


def _seeds(layers: Sequence[Layer]) -> set[int]:
    return {layer.seed for layer in layers}
