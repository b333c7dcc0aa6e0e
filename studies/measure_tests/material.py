"""What the tests are made of: layers of runs, changed versions of them, answers of the runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from studies.measure_tests.changes import Series, change
from studies.results import Results
from vidrep.activations import STORE_SUFFIX
from vidrep.activations.store import open_store, read_labels, read_layer
from vidrep.runs import Run
from vidrep.similarity.kernel import Kernel, summarise

SAME = 1e-6  # two kernels of trace 1 that differ by less hold the same representation


@dataclass(frozen=True)
class Layer:
    """One layer of a run on the test clips."""

    system: str
    seed: int
    name: str
    kernel: Kernel


@dataclass
class Material:
    """All that the tests of one evaluation set need.

    Attributes:
        layers: of all runs, run by run in depth order, the last one of a run being its embedding.
        series: changed versions of some layers.
        answers: (system, seed) -> (n, classes) bool, which classes a run says are in each clip;
            only runs that classify.
        seed: of the experiment, for permutations.
    """

    layers: list[Layer]
    series: list[Series]
    answers: dict[tuple[str, int], np.ndarray]
    seed: int

    @property
    def systems(self) -> list[str]:
        return list(dict.fromkeys(layer.system for layer in self.layers))

    def embeddings(self) -> list[Layer]:
        """The last layer of each run."""
        return list({(layer.system, layer.seed): layer for layer in self.layers}.values())


def gather(folder: Path, runs: Sequence[Run], seed: int, report: Callable[[str], None]) -> Material:
    """Read a finished experiment.

    Args:
        folder: ``results/<experiment>``.
        runs: trained runs of one data set, with their activations on it; several seeds of each
            system.
        seed: of the experiment.
        report: receives lines of progress.

    Raises:
        ValueError: fewer than two systems, or a system with fewer than three seeds.
    """
    check_runs(runs)
    dataset = runs[0].dataset
    layers = []
    series = []
    for run in runs:
        store = folder / "activations" / dataset / f"{run.stem}{STORE_SUFFIX}"
        names = open_store(store).attrs["layers"]
        kernels = distinct({name: summarise(read_layer(store, name), name) for name in names})
        layers += [Layer(run.system, run.seed, name, kernel) for name, kernel in kernels.items()]
        kept = list(kernels)
        middle = kept[len(kept) // 2]
        for name in dict.fromkeys((middle, kept[-1])):
            changed = change(
                read_layer(store, name, "fit"),
                read_layer(store, name),
                read_labels(store, "fit"),
                read_labels(store),
                run=run,
                layer=name,
                seed=seed,
            )
            series.append(changed)
        report(f"{run.stem}: {', '.join(kept)}")
    answers = {}
    for run in runs:
        given = answers_of(folder, run, layers[0].kernel.n)
        if given is not None:
            answers[run.system, run.seed] = given
    return Material(layers, series, answers, seed)


def check_runs(runs: Sequence[Run]) -> None:
    """Enough runs for the tests to mean something."""
    seeds: dict[str, set] = {}
    for run in runs:
        seeds.setdefault(run.system, set()).add(run.seed)
    few = [name for name, found in seeds.items() if len(found) < 3]
    if len(seeds) < 2 or few or len(set(map(frozenset, seeds.values()))) > 1:
        got = ", ".join(f"{name} with seeds {sorted(found)}" for name, found in seeds.items())
        raise ValueError(
            "config key systems: the tests of measures need at least two systems with the same"
            f" three seeds or more; got {got}"
        )


def distinct(kernels: dict[str, Kernel]) -> dict[str, Kernel]:
    """Layers without those that a later one only repeats, which cannot be told apart.

    An example is an embedding that is a flattened map.
    """

    def same(name: str, later: str) -> bool:
        return np.abs(kernels[name].matrix - kernels[later].matrix).max() < SAME

    names = list(kernels)
    kept = {}
    for i, name in enumerate(names):
        if not any(same(name, later) for later in names[i + 1 :]):
            kept[name] = kernels[name]
    return kept


def answers_of(folder: Path, run: Run, clips: int) -> np.ndarray | None:
    """Which classes a run says are in each of the first test clips, (n, classes) bool.

    None for runs that do not classify.
    """
    results = Results(folder)
    objective = results.load(run.dataset, run.system, run.seed)
    if not hasattr(objective, "probabilities"):
        return None
    predicted = []
    with torch.no_grad():
        for batch in results.batches(run.dataset, system=run.system, count=clips):
            streams = objective.probabilities(objective.logits(batch))
            mean = torch.stack(list(streams.values())).mean(0)
            predicted.append(objective.predict(mean))
    return torch.cat(predicted).numpy()
