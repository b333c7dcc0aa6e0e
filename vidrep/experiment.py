"""What an experiment consists of: its runs, what is evaluated on what, and what is made from both.

The Snakefile imports this module every time it is parsed, in every job: nothing heavy here.
"""

from functools import cache
from pathlib import Path

from vidrep import objectives, run_jobs, systems
from vidrep.datasets.declared import data_sets
from vidrep.run_jobs import RunJobs
from vidrep.runs import EXTERNAL, UNTRAINED, Run, first_seeds, trained_on
from vidrep.similarity_analysis import TABLES as ANALYSIS_TABLES
from vidrep.splits import SPLITS
from vidrep.systems import System


class Experiment:
    """The runs of a configuration and what is evaluated on what.

    Attributes:
        config: the configuration with all defaults.
        name: of its folder of results.
        sets: its data sets by name, in the order of the configuration.
        datasets: their names.
        transfer: are trained runs evaluated on other data sets than their own?
        systems: its systems by name.
    """

    def __init__(self, config: dict) -> None:
        self.config = config
        self.name: str = config["experiment"]
        self.sets = data_sets(config)
        self.datasets = list(self.sets)
        self.transfer: bool = config["transfer"]
        chosen = [systems.system(entry) for entry in config["systems"]]
        self.systems = {system.name: system for system in chosen}
        self._evaluated = cache(lambda dataset: frozenset(self.evaluated_on(dataset)))

    def notes(self) -> list[str]:
        """Lines on its data sets that a user ought to read before the first job."""
        return [f"{name}: {line}" for name, found in self.sets.items() for line in found.notes]

    def groups(self) -> list[list[str]]:
        """The data sets in groups within which trained runs are evaluated on each other's clips.

        With transfer those that are comparable, else each by itself.
        """
        found: dict[tuple, list[str]] = {}
        for name, data_set in self.sets.items():
            key = data_set.comparable if self.transfer else (name,)
            found.setdefault(key, []).append(name)
        return list(found.values())

    def group_of(self, dataset: str) -> list[str]:
        """The group of a data set."""
        return next(group for group in self.groups() if dataset in group)

    def pairs(self) -> list[tuple[str, System]]:
        """Which system is made for which data set, data set by data set."""
        found = []
        for dataset in self.datasets:
            for system in self.systems.values():
                if dataset in self.made_for(system):
                    found.append((dataset, system))
        return found

    def made_for(self, system: System) -> list[str]:
        """The data sets that a system is trained on: those it names, else all that may be.

        A frozen network is the same on all of them, so it has one run a group, on the first.
        """
        if system.datasets:
            return [name for name in self.datasets if name in system.datasets]
        usual = [name for name, data_set in self.sets.items() if not data_set.named_only]
        if not system.frozen:
            return usual
        firsts = []
        for group in self.groups():
            firsts += [name for name in group if name in usual][:1]
        return firsts

    def trained_runs(self) -> list[Run]:
        """Every system on its data sets with each of its seeds."""
        runs = []
        for dataset, system in self.pairs():
            runs += [Run(dataset, system.name, seed) for seed in system.seeds]
        return runs

    def untrained_runs(self) -> list[Run]:
        """The untrained baseline of every system on its data sets; controls have no other run."""
        return [Run(dataset, system.name, UNTRAINED) for dataset, system in self.pairs()]

    def runs(self) -> list[Run]:
        """All runs, trained ones first."""
        return self.trained_runs() + self.untrained_runs()

    def evaluated_on(self, dataset: str) -> list[Run]:
        """Runs that are evaluated on a data set: trained ones of its group, its own baselines."""
        group = self.group_of(dataset)
        trained = [run for run in self.trained_runs() if run.dataset in group]
        untrained = [run for run in self.untrained_runs() if run.dataset == dataset]
        return trained + untrained

    def trainings(self) -> list[RunJobs]:
        """The kinds of training jobs: a trained run each, or untrained baselines."""
        trained = [name for name, system in self.systems.items() if system.seeds]
        any_data_set = run_jobs.any_of(self.datasets)
        each = run_jobs.of_trained("", ["{dataset}"], any_data_set, trained)
        return [each, *self._untrained_jobs()]

    def run_definition(self, system: str) -> dict:
        """What determines the result of a system's runs, and which seed its baseline shares."""
        chosen = self.systems[system]
        return {**chosen.definition(), "first_seed": min(chosen.seeds, default=0)}

    def initial_weights(self, run: Run) -> list[str]:
        """The file of weights that a run starts from; none for random ones and for baselines."""
        system = self.systems[run.system]
        if not system.weights or run.seed == UNTRAINED:
            return []
        if system.starts_from:
            first = Run(run.dataset, system.starts_from, run.seed)
            return [f"<results>/runs/{first.folder}/weights.pt"]
        if system.weights == systems.STILL_DIGITS:
            return [f"<results>/pretrained/{systems.STILL_DIGITS}.pt"]
        return [system.weights]

    def extractions(self) -> list[RunJobs]:
        """The kinds of jobs that read runs on evaluation sets.

        A trained run meets all data sets of its group in one job; untrained baselines share jobs.
        """
        found = []
        for number, sets in enumerate(self.groups()):
            trained = []
            for name, system in self.systems.items():
                if system.seeds and not set(sets).isdisjoint(self.made_for(system)):
                    trained.append(name)
            ending = str(number) if number else ""
            found.append(run_jobs.of_trained(ending, sets, run_jobs.any_of(sets), trained))
        return found + self._untrained_jobs()

    def _untrained_jobs(self) -> list[RunJobs]:
        """One job of the baselines of all small systems, which take less than starting Python.

        Else jobs of all baselines of a system, the systems made for the same data sets together.
        """
        small = [run for run in self.untrained_runs() if self.systems[run.system].small]
        found = [run_jobs.of_all_untrained(small)] if small else []
        together: dict[tuple[str, ...], list[str]] = {}
        for name, system in self.systems.items():
            sets = tuple(self.made_for(system))
            if sets and not system.small:
                together.setdefault(sets, []).append(name)
        for number, (sets, names) in enumerate(together.items()):
            found.append(run_jobs.of_untrained(f"untrained_{number}", sets, names))
        return found

    def external_jobs(self) -> RunJobs:
        """Jobs of external activations, which take the same way from there on."""
        runs = [run for _, run in self.external()]
        datasets = [run.dataset for run in runs]
        networks = [run.system for run in runs]
        return run_jobs.of_external(datasets, networks)

    def external_on(self, dataset: str) -> list[Run]:
        """Networks of somebody else's whose activations on ``dataset`` the configuration lists."""
        return [run for item, run in self.external() if item["evaluated_on"] == dataset]

    def external(self) -> list[tuple[dict, Run]]:
        """Each listed file of activations, and the run that it stands for."""
        found = []
        for item in self.config["external"]:
            trained_on = item.get("trained_on", EXTERNAL)
            run = Run(trained_on, item["name"], item.get("seed", 0))
            found.append((item, run))
        return found

    def external_item(self, evaluated: str, run: Run) -> dict:
        """What the configuration says of an external run on an evaluation set."""
        for item, listed in self.external():
            if item["evaluated_on"] == evaluated and listed == run:
                return item
        raise ValueError(f"no external activations of {run.stem} on {evaluated}")

    def compared_on(self, dataset: str) -> list[Run]:
        """All that is compared on a data set: its evaluated runs, then external activations."""
        return self.evaluated_on(dataset) + self.external_on(dataset)

    def families(self) -> dict[str, str]:
        """Family of each system and of each external network."""
        found = {name: system.family for name, system in self.systems.items()}
        for item in self.config["external"]:
            found[item["name"]] = item.get("family", EXTERNAL)
        return found

    def sequences(self) -> list[str]:
        """The data sets whose videos follow one script, so that they can be aligned."""
        return [name for name, data_set in self.sets.items() if "phase" in data_set.truths]

    def detection_runs(self) -> list[Run]:
        """Trained runs whose features detect activities in untrimmed videos."""
        chosen = self.config["detection"]
        runs = [run for run in self.trained_runs() if run.system in chosen["systems"]]
        return [run for run in runs if run.dataset in chosen["datasets"]]

    def verdicts(self) -> list[str]:
        """The table of what the tests of measures found; none where it does not exist yet."""
        path = self.config["similarity"]["verdicts"]
        return [path] if Path(path).is_file() else []

    def flow_methods(self, dataset: str) -> list[str]:
        """Forward flow methods of a data set: the truth where it is known, and what is asked for.

        Asked for are estimates to be scored, and what the systems evaluated on it are fed.
        """
        asked = {"true", *self.config["flow"]["estimators"]}
        for run in self.evaluated_on(dataset):
            fed = self.systems[run.system].flow
            if fed:
                asked.add(fed)
        return sorted(filter(self.sets[dataset].has_flow, asked))

    def flow_scored_on(self) -> list[str]:
        """The data sets whose exact flow estimates are held against, if there are estimates."""
        if not self.config["flow"]["estimators"]:
            return []
        return [name for name, data_set in self.sets.items() if data_set.has_flow("true")]

    def matched_sets(self) -> list[str]:
        """Evaluation sets on which layers can be matched: two systems, or two seeds of one."""
        matched = []
        for dataset in self.datasets:
            made = [system for made_for, system in self.pairs() if made_for == dataset]
            two_seeds = any(len(system.seeds) > 1 for system in made)
            if len(made) > 1 or two_seeds:
                matched.append(dataset)
        return matched

    def version_sets(self) -> list[str]:
        """Evaluation sets on which a system is compared after training on different data."""
        compared = []
        for dataset in self.datasets:
            trained = {(run.system, run.dataset) for run in self.evaluated_on(dataset)}
            names = {system for system, _ in trained}
            if len(trained) > len(names):
                compared.append(dataset)
        return compared

    def followed_runs(self) -> list[Run]:
        """Trained runs whose weights are kept at several times, as ``training.snapshots`` asks."""
        if not self.config["training"]["snapshots"]:
            return []
        followed = []
        for run in self.trained_runs():
            epochs = self.systems[run.system].recipe["epochs"]
            if sum(epochs):
                followed.append(run)
        return followed

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
        found = []
        for dataset in self.sequences():
            found += [(dataset, run) for run in self.evaluated_on(dataset)]
        return found

    def matched_runs(self) -> list[Run]:
        """Of each system trained on sequences its first run, whose matched videos are shown."""
        sequences = self.sequences()
        return first_seeds(run for run in self.trained_runs() if run.dataset in sequences)

    def detection_splits(self) -> list[str]:
        """The splits of untrimmed videos."""
        splits = list(SPLITS)
        if self.config["detection"]["videos"]["test_two_activities"]:
            splits.append("test_two_activities")
        return splits

    def untrimmed_mb(self, dataset: str, split: str) -> int:
        """Megabytes of a split of untrimmed videos, if all were as long as the longest."""
        videos = self.config["detection"]["videos"]
        _, longest = videos["frames"]
        clip = self.sets[dataset]
        return videos[split] * longest * clip.height * clip.width // 10**6

    def tables(self) -> list[str]:
        """The names of the experiment's tables."""
        names = ["accuracy", "probes", "confusion", "cost", "nearest", *ANALYSIS_TABLES]
        if self.followed_runs():
            names.append("training_time")
        if self.flow_scored_on():
            names.append("flow_error")
        if self.detection_runs():
            names.append("detection")
        if self.generating_runs():
            names += ["prediction", "prediction_verdict"]
        if self.sequences():
            names.append("alignment")
        return names
