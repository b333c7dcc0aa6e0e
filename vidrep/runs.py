"""Runs: one system trained on one data set with one seed."""

from collections.abc import Iterable
from dataclasses import dataclass

UNTRAINED = "untrained"  # the seed of an untrained baseline
# What a network of somebody else's was trained on, and its family, where nobody says it.
EXTERNAL = "external"


@dataclass(frozen=True)
class Run:
    """One system trained on one data set with one seed; seed "untrained" is the baseline."""

    dataset: str
    system: str
    seed: int | str

    @property
    def folder(self) -> str:
        """Where the run's own files lie below a stage's folder."""
        return f"{self.dataset}/{self.system}/seed{self.seed}"

    @property
    def stem(self) -> str:
        """File stem of the run's activations."""
        return f"{self.dataset}--{self.system}--seed{self.seed}"


def first_seeds(runs: Iterable[Run]) -> list[Run]:
    """Of each data set and system the first of ``runs``."""
    first: dict[tuple[str, str], Run] = {}
    for run in runs:
        first.setdefault((run.dataset, run.system), run)
    return list(first.values())


def trained_on(runs: Iterable[Run]) -> list[str]:
    """The data sets that ``runs`` are trained on, each once."""
    return list(dict.fromkeys(run.dataset for run in runs))
