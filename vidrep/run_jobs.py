"""Jobs about runs on data sets: what one job takes together, and the names of its files.

Rules of training, extraction, kernels and probes are made of these, one a kind and stage.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from vidrep.runs import UNTRAINED, Run

RUN = "{dataset}--{system}--seed{seed}"  # file stem of a run on an evaluation set


@dataclass(frozen=True)
class RunJobs:
    """A kind of job about runs on data sets.

    File names and the title are patterns, with some of the wildcards ``{dataset}`` (what a run was
    trained on), ``{system}``, ``{seed}`` and ``{evaluated}``.

    Attributes:
        name: the end of its rules' names.
        sets: the data sets of one job; one that several runs meet stands there for each.
        met_by: the systems of the runs that meet them, one a data set.
        trained_on, systems, seeds: patterns that these wildcards match.
        run: file stem of a run of ``<system>`` on the data set ``<set>``.
        folders: the folders of the runs of one job.
        job: file stem of what stands once for a job, such as its log.
        title: what a job is about, for messages.
    """

    name: str
    sets: tuple[str, ...]
    met_by: tuple[str, ...]
    trained_on: str
    systems: str
    seeds: str
    run: str
    folders: tuple[str, ...]
    job: str
    title: str

    @property
    def untrained(self) -> bool:
        """Are these jobs about untrained baselines?"""
        return self.seeds == UNTRAINED

    def rule(self, stage: str) -> str:
        """Name of a stage's rule for these jobs."""
        return f"{stage}_{self.name}" if self.name else stage

    def files(self, stage: str, suffix: str) -> list[str]:
        """The file that a stage leaves for each data set."""
        found = []
        for name, system in zip(self.sets, self.met_by, strict=True):
            stem = self.run.replace("<set>", name).replace("<system>", system)
            found.append(f"<results>/{stage}/{name}/{stem}{suffix}")
        return found

    def run_files(self, name: str) -> list[str]:
        """A file of each run's folder."""
        return [f"<results>/{folder}/{name}" for folder in self.folders]


def of_trained(name: str, sets: Iterable[str], trained_on: str, systems: Iterable[str]) -> RunJobs:
    """Jobs of one trained run each, on all ``sets``."""
    sets = tuple(sets)
    return RunJobs(
        name=name,
        sets=sets,
        met_by=("{system}",) * len(sets),
        trained_on=trained_on,
        systems=any_of(systems),
        seeds=r"\d+",
        run=RUN,
        folders=("runs/{dataset}/{system}/seed{seed}",),
        job=RUN,
        title="{wildcards.system} ({wildcards.dataset}, seed {wildcards.seed})",
    )


def of_untrained(name: str, sets: Iterable[str], systems: Iterable[str]) -> RunJobs:
    """Jobs of all untrained baselines of one system each, every one on its own data set."""
    sets = tuple(sets)
    return RunJobs(
        name=name,
        sets=sets,
        met_by=("{system}",) * len(sets),
        trained_on=any_of(sets),
        systems=any_of(systems),
        seeds=UNTRAINED,
        run=f"<set>--<system>--seed{UNTRAINED}",
        folders=tuple(f"runs/{dataset}/{{system}}/seed{UNTRAINED}" for dataset in sets),
        job=f"{UNTRAINED}--{{system}}",
        title="the untrained baselines of {wildcards.system}",
    )


def of_all_untrained(baselines: Iterable[Run]) -> RunJobs:
    """One job of all these untrained baselines, every one on its own data set."""
    baselines = list(baselines)
    sets = tuple(run.dataset for run in baselines)
    names = tuple(run.system for run in baselines)
    return RunJobs(
        name=UNTRAINED,
        sets=sets,
        met_by=names,
        trained_on=any_of(sets),
        systems=any_of(names),
        seeds=UNTRAINED,
        run=f"<set>--<system>--seed{UNTRAINED}",
        folders=tuple(f"runs/{run.folder}" for run in baselines),
        job=UNTRAINED,
        title=f"the untrained baselines of {len(set(names))} small systems",
    )


def of_external(trained_on: Iterable[str], systems: Iterable[str]) -> RunJobs:
    """Jobs of one file of activations each, which somebody else's network computed."""
    return RunJobs(
        name="external",
        sets=("{evaluated}",),
        met_by=("{system}",),
        trained_on=any_of(trained_on),
        systems=any_of(systems),
        seeds=r"\d+",
        run=RUN,
        folders=(),
        job=f"{{evaluated}}/{RUN}",
        title="{wildcards.system} on {wildcards.evaluated}",
    )


def any_of(names: Iterable[str]) -> str:
    """A pattern that matches each of ``names`` and nothing else."""
    return "|".join(dict.fromkeys(names)) or "(?!)"
