"""What must hold of a system of the experiment, on each data set that it is trained on."""

from pathlib import Path

from vidrep import models, objectives
from vidrep.datasets.declared import KINDS
from vidrep.datasets.kind import MOTION_FACTORS, DataSet
from vidrep.experiment import Experiment
from vidrep.naming import source_file
from vidrep.systems import STILL_DIGITS, System


def check_system(system: System, experiment: Experiment) -> None:
    """Names that exist, and clips and files enough for what the system does with them.

    Raises:
        ValueError: one line that names the key, what is wrong and what would be right.
    """
    key = f"config key systems, {system.name}"
    try:
        source_file(system.model, models.MODELS, "model")
        source_file(system.objective, objectives.OBJECTIVES, "objective")
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    _check_stages(system)
    _check_inputs(system)
    if system.recipe["endless"] and system.recipe["labelled"]:
        raise ValueError(
            f"{key}.recipe: labelled chooses among the training clips, endless has new ones in"
            " every epoch; give one of them"
        )
    for name in experiment.made_for(system):
        data_set = experiment.sets[name]
        _check_frames(system, data_set, experiment)
        if system.recipe["endless"] and not KINDS[data_set.kind].renderer:
            raise ValueError(
                f"{key}.recipe.endless: the clips of {name} come from files, no new ones can be"
                " rendered; give false"
            )
        there = data_set.clips["train"]
        if (system.recipe["labelled"] or 0) > there:
            raise ValueError(
                f"{key}.recipe.labelled: {system.recipe['labelled']} clips,"
                f" {where_counted(data_set, 'train', experiment)} is {there}"
            )
        _check_tasks(system, data_set)
        if system.flow and not data_set.has_flow(system.flow):
            raise ValueError(
                f"{key}.flow: the exact flow of {name} is not known; give an estimate, such as dis"
            )
    if system.starts_from:
        _check_start(system, experiment)
    elif system.weights:
        _check_weights(system)


def where_counted(data_set: DataSet, split: str, experiment: Experiment) -> str:
    """What says how many clips a split has: a key, or the files of a data set of one's own."""
    if data_set.clips[split] == experiment.config["clips"][split]:
        return f"clips.{split}"
    return f"{split} of data set {data_set.name}"


def _check_stages(system: System) -> None:
    """As many epochs and learning rates as the objective has training stages."""
    stages = objectives.traits(system.objective).stages
    if not system.seeds or not stages:
        return
    for key in ("epochs", "lr"):
        values = system.recipe[key]
        if isinstance(values, list) and len(values) != len(stages):
            raise ValueError(
                f"config key systems, {system.name}.recipe.{key}: {values} for the training stages"
                f" {', '.join(stages)} of objective {system.objective}; give one number for each"
            )


def _check_inputs(system: System) -> None:
    """The inputs that its model is fed."""
    traits = models.traits(system.model)
    bidirectional = system.params.get("bidirectional", False)
    if traits.flow_stack and bidirectional != ("flow_backward" in system.inputs):
        raise ValueError(
            f"config key systems, {system.name}: params.bidirectional is {bidirectional} and inputs"
            f" are {list(system.inputs)}; bidirectional stacks, and no others, have flow_backward"
            " among their inputs"
        )
    inputs = traits.inputs_with(system.params)
    if inputs and set(inputs) != set(system.inputs):
        raise ValueError(
            f"config key systems, {system.name}.inputs: {list(system.inputs)}; its model"
            f" {system.model} is fed {list(inputs)}"
        )


def _check_tasks(system: System, data_set: DataSet) -> None:
    """The factors from which the further tasks of an objective are made."""
    tasks = objectives.traits(system.objective).tasks
    if tasks:
        tasks = system.objective_params.get("tasks", tasks)
    further = [task for task in tasks if task != "labels"]
    if further and "motion" not in data_set.truths:
        raise ValueError(
            f"config key systems, {system.name}: objective {system.objective} also learns"
            f" {', '.join(further)}, and {data_set.name} has not the factors"
            f" {' and '.join(MOTION_FACTORS)} that tell; give it other datasets, or"
            " objective_params.tasks: [labels]"
        )


def _check_frames(system: System, data_set: DataSet, experiment: Experiment) -> None:
    """Flow fields enough for a stack of them, and frames left to predict."""
    frames = data_set.frames
    usual = frames == experiment.config["video"]["frames"]
    key = "video.frames" if usual else f"datasets, {data_set.name}"
    traits = models.traits(system.model)
    stack = system.params.get("stack", traits.flow_stack)
    if traits.flow_stack and stack > frames - 1:
        raise ValueError(
            f"config key {key}: {frames} frames have {frames - 1} flow fields, too few for"
            f" the stack of {stack} of system {system.name}; use {stack + 1} frames or lower its"
            " params.stack"
        )
    observed = system.objective_params.get("observed", 0)
    if observed >= frames:
        raise ValueError(
            f"config key {key}: system {system.name} observes {observed} of {frames} frames"
            " and has none left to predict; raise frames or lower its objective_params.observed"
        )


def _check_weights(system: System) -> None:
    """A file of weights that exists, or a model that can start from those of still digits."""
    key = f"config key systems, {system.name}.weights"
    if system.weights == STILL_DIGITS:
        if not models.traits(system.model).takes_weights:
            raise ValueError(
                f"{key}: model {system.model!r} cannot start from a CNN of still digits; give it a"
                " method load_pretrained(state, source), a file of its own weights, or none"
            )
    elif not Path(system.weights).is_file():
        raise ValueError(f"{key}: no file {system.weights}")


def _check_start(system: System, experiment: Experiment) -> None:
    """Another system to start from, with the same model, trained wherever this one is."""
    key = f"config key systems, {system.name}.weights"
    first = experiment.systems.get(system.starts_from)
    if first is None or first is system or not first.seeds:
        raise ValueError(
            f"{key}: {system.starts_from!r} is no other trained system of this experiment; add it"
            " to systems"
        )
    if first.model != system.model:
        raise ValueError(f"{key}: {first.name} has model {first.model}, not {system.model}")
    runs = experiment.trained_runs()
    made = {(run.dataset, run.seed) for run in runs if run.system == first.name}
    missing = [
        f"{run.dataset} with seed {run.seed}"
        for run in runs
        if run.system == system.name and (run.dataset, run.seed) not in made
    ]
    if missing:
        raise ValueError(
            f"{key}: {first.name} is not trained on {', '.join(missing)}; give both the same"
            " datasets and seeds"
        )
