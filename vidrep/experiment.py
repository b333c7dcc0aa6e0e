"""What an experiment consists of: its runs, what is evaluated on what, and what is made from both.

The Snakefile imports this module every time it is parsed, in every job: nothing heavy here.
"""

from functools import cache
from pathlib import Path

from vidrep import objectives
from vidrep.runs import EXTERNAL, UNTRAINED, Run, first_seeds, trained_on
from vidrep.systems import System, system

# Videos of one process: only systems that name them are trained on them.
SEQUENCES = ("sequences", "sequences_unwarped")


class Experiment:
    """The runs of a configuration and what is evaluated on what."""

    def __init__(self, config: dict) -> None:
        self.config = config
        self.name: str = config["experiment"]
        self.datasets: list[str] = config["datasets"]
        self.transfer: bool = config["transfer"]
        self.systems = {item.name: item for item in map(system, config["systems"])}
        self._evaluated = cache(lambda dataset: frozenset(self.evaluated_on(dataset)))

    def frames(self, dataset: str) -> int:
        """Frames of a data set's clips."""
        return self.config["sequences" if dataset in SEQUENCES else "video"]["frames"]

    def alike(self) -> list[list[str]]:
        """The data sets in groups of equally long clips: transfer stays within a group."""
        lengths = dict.fromkeys(map(self.frames, self.datasets))
        return [
            [name for name in self.datasets if self.frames(name) == length] for length in lengths
        ]

    def trained_runs(self) -> list[Run]:
        """Every system on its data sets with each of its seeds."""
        return [
            Run(dataset, system.name, seed)
            for dataset, system in self.pairs()
            for seed in system.seeds
        ]

    def untrained_runs(self) -> list[Run]:
        """The untrained twin of every system on its data sets; controls are nothing but that."""
        return [Run(dataset, system.name, UNTRAINED) for dataset, system in self.pairs()]

    def pairs(self) -> list[tuple[str, System]]:
        """Which system is made for which data set, data set by data set."""
        return [
            (dataset, system)
            for dataset in self.datasets
            for system in self.systems.values()
            if dataset
            in (system.datasets or [name for name in self.datasets if name not in SEQUENCES])
        ]

    def twins_together(self) -> dict[tuple[str, ...], list[str]]:
        """Groups of data sets, and the systems whose untrained twins are made for just these."""
        groups: dict[tuple[str, ...], list[str]] = {}
        for name in self.systems:
            groups.setdefault(
                tuple(dataset for dataset, made in self.pairs() if made.name == name), []
            ).append(name)
        return groups

    def runs(self) -> list[Run]:
        return self.trained_runs() + self.untrained_runs()

    def evaluated_on(self, dataset: str) -> list[Run]:
        """Runs that are opened up on ``dataset``: those made for it and, with transfer, all trained
        ones for as many frames.
        """
        trained_on = [
            name
            for name in self.datasets
            if self.transfer and self.frames(name) == self.frames(dataset)
        ] or [dataset]
        return [run for run in self.trained_runs() if run.dataset in trained_on] + [
            run for run in self.untrained_runs() if run.dataset == dataset
        ]

    def external_on(self, dataset: str) -> list[Run]:
        """Networks of somebody else's whose activations on ``dataset`` the configuration lists."""
        return [run for item, run in self.external() if item["evaluated_on"] == dataset]

    def external(self) -> list[tuple[dict, Run]]:
        """Each listed file of activations, and the run that it stands for."""
        return [
            (item, Run(item.get("trained_on", EXTERNAL), item["name"], item.get("seed", 0)))
            for item in self.config["external"]
        ]

    def compared_on(self, dataset: str) -> list[Run]:
        """All that is compared on ``dataset``: the runs opened up on it, then external
        activations.
        """
        return self.evaluated_on(dataset) + self.external_on(dataset)

    def families(self) -> dict[str, str]:
        """Family of each system and of each external network."""
        own = {name: system.family for name, system in self.systems.items()}
        return own | {
            item["name"]: item.get("family", EXTERNAL) for item in self.config["external"]
        }

    def sequences(self) -> list[str]:
        """The data sets whose videos follow one script, so that they can be aligned."""
        return [name for name in self.datasets if name in SEQUENCES]

    def detection_runs(self) -> list[Run]:
        """Trained runs whose features detect activities in untrimmed videos."""
        chosen = self.config["detection"]
        return [
            run
            for run in self.trained_runs()
            if run.system in chosen["systems"] and run.dataset in chosen["datasets"]
        ]

    def verdicts(self) -> list[str]:
        """The table of what the tests of measures found; none where it does not exist yet."""
        path = self.config["similarity"]["verdicts"]
        return [path] if Path(path).is_file() else []

    def flow_methods(self) -> list[str]:
        """Methods of forward flow that a system is fed or that the configuration asks to score."""
        used = {system.flow for system in self.systems.values() if system.flow}
        return sorted(used | {"true"} | set(self.config["flow"]["estimators"]))

    def matched_sets(self) -> list[str]:
        """Evaluation sets on which layers can be matched: two systems, or two seeds of one."""
        matched = []
        for dataset in self.datasets:
            made = [system for made_for, system in self.pairs() if made_for == dataset]
            if len(made) > 1 or any(len(system.seeds) > 1 for system in made):
                matched.append(dataset)
        return matched

    def version_sets(self) -> list[str]:
        """Evaluation sets on which a system is compared after training on different data."""
        compared = []
        for dataset in self.datasets:
            trained = {(run.system, run.dataset) for run in self.evaluated_on(dataset)}
            systems = {system for system, _ in trained}
            if len(trained) > len(systems):
                compared.append(dataset)
        return compared

    def followed_runs(self) -> list[Run]:
        """Trained runs whose weights are kept at several times, as ``training.snapshots`` asks."""
        if not self.config["training"]["snapshots"]:
            return []
        return [
            run for run in self.trained_runs() if sum(self.systems[run.system].recipe["epochs"])
        ]

    def followed_sets(self) -> list[str]:
        """The data sets that they are trained on."""
        return trained_on(self.followed_runs())

    def generates(self, system: str) -> bool:
        """Does a system's objective reconstruct or predict frames?"""
        return objectives.traits(self.systems[system].objective).generates

    def generating_runs(self) -> list[Run]:
        """Trained runs that reconstruct or predict frames."""
        return [run for run in self.trained_runs() if self.generates(run.system)]

    def generating_sets(self) -> list[str]:
        """The data sets that they are trained on."""
        return trained_on(self.generating_runs())

    def generating_on(self, dataset: str) -> list[Run]:
        """Runs that generate frames of ``dataset``, untrained baselines too."""
        return [run for run in self.evaluated_on(dataset) if self.generates(run.system)]

    def evaluation_sets(self, run: Run) -> list[str]:
        """The data sets that a run is evaluated on, its own first."""
        others = [name for name in self.datasets if run in self._evaluated(name)]
        return [run.dataset, *(name for name in others if name != run.dataset)]

    def alignment_runs(self) -> list[tuple[str, Run]]:
        """Each data set of sequences with each run that aligns its videos."""
        return [
            (dataset, run) for dataset in self.sequences() for run in self.evaluated_on(dataset)
        ]

    def matched_runs(self) -> list[Run]:
        """Of each system trained on sequences its first run, whose matched videos are shown."""
        sequences = self.sequences()
        return first_seeds(run for run in self.trained_runs() if run.dataset in sequences)

    def detection_splits(self) -> list[str]:
        """The splits of untrimmed videos."""
        two = self.config["detection"]["videos"]["test_two_activities"]
        return ["train", "validation", "test"] + ["test_two_activities"] * bool(two)

    def first_run(self, system: str, dataset: str) -> Run:
        """A trained system's run with its first seed."""
        return Run(dataset, system, min(self.systems[system].seeds))
