"""What figures are drawn of and made of: data sets, runs, files and settings of an experiment.

Every function takes the experiment, and where a figure has a file for each data set or run also
what the file is of. The Snakefile imports this module every time it is parsed.
"""

import json

from vidrep.activations import STORE_SUFFIX
from vidrep.experiment import Experiment
from vidrep.report.declaration import Item
from vidrep.runs import UNTRAINED, Run, first_seeds
from vidrep.systems import System

# which files, and which of them


def data_sets(experiment: Experiment) -> list[Item]:
    """Every data set."""
    return [(dataset,) for dataset in experiment.datasets]


def trained_sets(experiment: Experiment) -> list[Item]:
    """Data sets that some system is trained on."""
    return [(dataset,) for dataset in experiment.datasets if histories(experiment, dataset)]


def single_label_sets(experiment: Experiment) -> list[Item]:
    """Data sets whose clips have one label each, and that some system is trained on."""
    trained = trained_sets(experiment)
    return [(name,) for (name,) in trained if not experiment.sets[name].multi_label]


def embedded_sets(experiment: Experiment) -> list[Item]:
    """Data sets that some system or control is made for."""
    return [(dataset,) for dataset in experiment.datasets if embeddings(experiment, dataset)]


def data_sets_with_flow(experiment: Experiment) -> list[Item]:
    """Data sets whose flow is known or asked for."""
    return [(dataset,) for dataset in experiment.datasets if experiment.flow_methods(dataset)]


def matched_sets(experiment: Experiment) -> list[Item]:
    """Data sets on which layers can be matched."""
    return [(dataset,) for dataset in experiment.matched_sets()]


def version_sets(experiment: Experiment) -> list[Item]:
    """Data sets on which one system is compared after training on different data."""
    return [(dataset,) for dataset in experiment.version_sets()]


def followed_sets(experiment: Experiment) -> list[Item]:
    """Data sets whose runs are looked at in the course of training."""
    return [(dataset,) for dataset in experiment.followed_sets()]


def generating_sets(experiment: Experiment) -> list[Item]:
    """Data sets whose frames are generated."""
    return [(dataset,) for dataset in experiment.generating_sets()]


def sequences(experiment: Experiment) -> list[Item]:
    """Data sets whose videos can be aligned."""
    return [(dataset,) for dataset in experiment.sequences()]


def data_sets_and_measures(experiment: Experiment) -> list[Item]:
    """Every data set with every measure of similarity."""
    items = []
    for dataset in experiment.datasets:
        items += [(dataset, measure) for measure in experiment.config["similarity"]["measures"]]
    return items


def embedded_sets_and_first_measure(experiment: Experiment) -> list[Item]:
    """``embedded_sets`` with the measure that is shown layer by layer."""
    measure = first_measure(experiment)
    return [(*item, measure) for item in embedded_sets(experiment)]


def generating_runs(experiment: Experiment) -> list[Item]:
    """First runs that generate frames."""
    return _items(experiment.generating_runs())


def detecting_runs(experiment: Experiment) -> list[Item]:
    """First runs whose features detect activities."""
    return _items(experiment.detection_runs())


def matched_runs(experiment: Experiment) -> list[Item]:
    """First runs whose matched videos are shown."""
    return _items(experiment.matched_runs())


def lstm_runs(experiment: Experiment) -> list[Item]:
    """First runs of LSTM encoders whose decoders generate pixels: their weights are pictures."""
    chosen = []
    for run in experiment.trained_runs():
        system = experiment.systems[run.system]
        if (system.model, system.objective) == ("lstm_encoder", "lstm_composite"):
            chosen.append(run)
    return _items(chosen)


def if_transfer(experiment: Experiment) -> list[Item]:
    """One file, where runs are tested on other data sets than their own."""
    return [()] if experiment.transfer else []


def if_controls(experiment: Experiment) -> list[Item]:
    """One file, where runs are tested on clips whose time is broken."""
    return [()] if experiment.config["controls"] else []


def if_few_labels(experiment: Experiment) -> list[Item]:
    """One file, where several systems are trained on the labels of some clips only."""
    few = [system for system in experiment.systems.values() if _uses_few_labels(system)]
    return [()] if len(few) > 1 else []


def _items(runs: list[Run]) -> list[Item]:
    return [(run.dataset, run.system) for run in first_seeds(runs)]


# what they are made of


def test_clips(experiment: Experiment) -> list[str]:
    """The test clips of all data sets."""
    return [f"<results>/datasets/{dataset}/test.h5" for dataset in experiment.datasets]


def test_flow(experiment: Experiment, dataset: str) -> list[str]:
    """The flow of a data set's test clips by all methods."""
    folder = f"<results>/flow/{dataset}/test"
    return [f"{folder}/{method}.zarr" for method in experiment.flow_methods(dataset)]


def flow_errors(experiment: Experiment) -> list[str]:
    """The table of errors of estimated flow; none where nothing is estimated or known exactly."""
    return ["<results>/tables/flow_error.csv"] if experiment.flow_scored_on() else []


def verdicts(experiment: Experiment) -> list[str]:
    """What the tests of measures found; nothing where they have not been run."""
    return experiment.verdicts()


def histories(experiment: Experiment, dataset: str) -> list[str]:
    """The learning curves of the runs on a data set."""
    runs = [run for run in experiment.trained_runs() if run.dataset == dataset]
    return [f"<results>/runs/{run.folder}/history.csv" for run in runs]


def embeddings(experiment: Experiment, dataset: str) -> list[str]:
    """Activations on a data set of each system's first run on it, and of the controls."""
    trained = first_seeds(experiment.trained_runs())
    untrained = experiment.untrained_runs()
    controls = [run for run in untrained if not experiment.systems[run.system].seeds]
    shown = [run for run in trained + controls if run.dataset == dataset]
    return [f"<results>/activations/{dataset}/{run.stem}{STORE_SUFFIX}" for run in shown]


def first_scores(experiment: Experiment, dataset: str) -> list[str]:
    """Scores of single clips by each system's first run on a data set."""
    runs = [run for run in first_seeds(experiment.trained_runs()) if run.dataset == dataset]
    return [f"<results>/clip_scores/{dataset}/{run.stem}.npz" for run in runs]


def own_test_clips(experiment: Experiment, dataset: str) -> list[str]:
    """The test clips of a data set."""
    return [f"<results>/datasets/{dataset}/test.h5"]


def trained_run(experiment: Experiment, dataset: str, system: str) -> list[str]:
    """Weights and record of a system's first run."""
    first = min(experiment.systems[system].seeds)
    return _run_files(Run(dataset, system, first))


def untrained_run(experiment: Experiment, dataset: str, system: str) -> list[str]:
    """Weights and record of its untrained baseline."""
    return _run_files(Run(dataset, system, UNTRAINED))


def _run_files(run: Run) -> list[str]:
    folder = f"<results>/runs/{run.folder}"
    return [f"{folder}/weights.pt", f"{folder}/run.json"]


# what else they depend on


def titles(experiment: Experiment) -> dict[str, str]:
    """What people call each data set; with its name where two are called alike."""
    shown = [data_set.title for data_set in experiment.sets.values()]
    result = {}
    for name, data_set in experiment.sets.items():
        alone = shown.count(data_set.title) == 1
        result[name] = data_set.title if alone else f"{data_set.title} ({name})"
    return result


def families(experiment: Experiment) -> dict[str, str]:
    """Family of each system, in the order of the experiment."""
    return {name: system.family for name, system in experiment.systems.items()}


def compared_families(experiment: Experiment) -> dict[str, str]:
    """Family of each system and of each external network."""
    return experiment.families()


def first_measure(experiment: Experiment) -> str:
    """The measure that is shown layer by layer, and whose distances are mapped."""
    return experiment.config["similarity"]["measures"][0]


def aligned_videos(experiment: Experiment) -> int:
    """Number of test videos that are aligned."""
    return experiment.config["alignment"]["test"]


def label_lines(experiment: Experiment) -> dict[str, dict[str, int]]:
    """Systems that differ in the number of labelled clips alone: first one's name, system, number.

    A system that uses all labels counts with them.
    """
    lines: dict[str, dict[str, int]] = {}
    for system in experiment.systems.values():
        recipe = {**system.recipe, "labelled": None}
        alike = {**system.definition(), "name": None, "recipe": recipe}
        line = lines.setdefault(json.dumps(alike, sort_keys=True), {})
        clips = [experiment.sets[name].clips["train"] for name in experiment.made_for(system)]
        line[system.name] = system.recipe["labelled"] or max(clips, default=0)
    shown = {}
    for line in lines.values():
        first, *_ = line
        if any(_uses_few_labels(experiment.systems[name]) for name in line):
            shown[first] = line
    return shown


def _uses_few_labels(system: System) -> bool:
    """Is a system trained on the labels of some clips only?"""
    return system.recipe["labelled"] is not None
