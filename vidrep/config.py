"""The configuration of an experiment, completed and checked: what would fail hours later fails
before the first job.
"""

import copy
from pathlib import Path

from vidrep import models, objectives
from vidrep.experiment import Experiment
from vidrep.naming import source_file
from vidrep.systems import STILL_DIGITS, System

EXTERNAL_SUFFIXES = (".npz", ".h5", ".hdf5", ".zarr")


def schema_error(config: dict, schema: dict) -> str | None:
    """The most telling way in which ``config`` breaks ``schema``, in one line; None when it does
    not.
    """
    import jsonschema

    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(config)
    )
    if error is None:
        return None
    path = ".".join(str(part) for part in error.absolute_path) or "(top level)"
    message = error.message
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))
        message = (
            f"unknown key {', '.join(map(repr, unknown))}; known:"
            f" {', '.join(error.schema['properties'])}"
        )
    return f"config key {path}: {message}"


def fill_defaults(config: dict, schema: dict) -> None:
    """Put the schema's default for every key that ``config`` leaves out, at every depth, into
    it.
    """
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            config.setdefault(key, copy.deepcopy(part["default"]))
        if isinstance(config.get(key), dict):
            fill_defaults(config[key], part)


def check(config: dict) -> Experiment:
    """The experiment that a configuration, complete with defaults, describes.

    Raises:
        ValueError: one line that names the key, what is wrong and what would be right.
    """
    digits = config["digits"]
    video = config["video"]
    clips = config["clips"]
    needed = {"sklearn": (), "mnist": ("folder",), "idx": ("images", "labels")}[digits["kind"]]
    for key in needed:
        if key not in digits:
            raise ValueError(f"config key digits: kind {digits['kind']} needs {key}")
    if video["patch_px"] >= video["size_px"]:
        raise ValueError(
            f"config key video.patch_px: a digit of {video['patch_px']} px does not fit on a canvas"
            f" of {video['size_px']} px; make patch_px smaller than size_px"
        )
    experiment = Experiment(config)
    aligned = (
        [("test", "test", "alignment"), ("train", "train", "alignment")]
        if experiment.sequences()
        else []
    )
    for key, limit, of in (
        ("clips", "test", "activations"),
        ("fit_clips", "train", "activations"),
        *aligned,
    ):
        if config[of][key] > clips[limit]:
            raise ValueError(
                f"config key {of}.{key}: {config[of][key]} clips wanted, clips.{limit} is"
                f" {clips[limit]}"
            )
    names = [item if isinstance(item, str) else item["name"] for item in config["systems"]]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"config key systems: {name!r} is listed {names.count(name)} times; list it once"
                " with several seeds"
            )
    if not experiment.trained_runs():
        raise ValueError(
            "config key systems: only controls; list at least one system that is trained"
        )
    for system in experiment.systems.values():
        if unknown := [name for name in system.datasets if name not in experiment.datasets]:
            raise ValueError(
                f"config key systems, {system.name}.datasets: {', '.join(unknown)} not among the"
                " experiment's data sets; add it to datasets or give some of"
                f" {', '.join(experiment.datasets)}"
            )
        lengths = {
            experiment.sets[dataset].frames
            for dataset, made in experiment.pairs()
            if made is system
        }
        if not lengths:
            raise ValueError(
                f"config key systems, {system.name}: it is trained on none of the data sets; "
                f"for sequences name them, datasets: [{', '.join(experiment.sequences())}]"
            )
        for frames in sorted(lengths):
            _check_system(system, frames)
        if (system.recipe["labelled"] or 0) > clips["train"]:
            raise ValueError(
                f"config key systems, {system.name}.recipe.labelled: {system.recipe['labelled']}"
                f" clips, clips.train is {clips['train']}"
            )
        if system.starts_from:
            _check_start(system, experiment)
    trained_on = {run.dataset for run in experiment.trained_runs()}
    if missing := [name for name in experiment.sequences() if name not in trained_on]:
        raise ValueError(
            f"config key datasets: no system is trained on {', '.join(missing)}; "
            "only systems that name it under their own datasets are, such as tcc_narrow"
        )
    if config["detection"]["systems"]:
        _check_detection(config, experiment)
    _check_external(experiment)
    return experiment


def _check_external(experiment: Experiment) -> None:
    """Files that exist and can name their clips, evaluation sets of the experiment, and names that
    are not taken.
    """
    seen: dict[tuple, dict] = {}
    for item, run in experiment.external():
        key = f"config key external, {item['name']}"
        path = Path(item["file"])
        if item["name"] in experiment.systems:
            raise ValueError(f"{key}: a system of the experiment has this name; choose another")
        if item["evaluated_on"] not in experiment.datasets:
            raise ValueError(
                f"{key}.evaluated_on: {item['evaluated_on']} is not among the experiment's data"
                f" sets; give one of {', '.join(experiment.datasets)}"
            )
        if path.suffix not in EXTERNAL_SUFFIXES:
            raise ValueError(
                f"{key}.file: {path} is not one of {', '.join(EXTERNAL_SUFFIXES)}, which can hold"
                " arrays and ids"
            )
        if not path.exists():
            raise ValueError(f"{key}.file: no file {path}")
        if (item["evaluated_on"], run) in seen:
            raise ValueError(
                f"{key}: listed twice for {item['evaluated_on']}; give each a name or a seed of"
                " its own"
            )
        seen[item["evaluated_on"], run] = item
        if item.get("family") != next(
            other for other in seen.values() if other["name"] == item["name"]
        ).get("family"):
            raise ValueError(
                f"{key}.family: {item['name']} has another family elsewhere in the list; give"
                " it one"
            )


def _check_detection(config: dict, experiment: Experiment) -> None:
    """Runs that exist and can serve as clip networks, and videos long enough for their pieces."""
    chosen = config["detection"]
    for name in chosen["systems"]:
        system = experiment.systems.get(name)
        if system is None or not system.seeds or system.inputs != ("clip",):
            suitable = [
                s.name for s in experiment.systems.values() if s.seeds and s.inputs == ("clip",)
            ]
            raise ValueError(
                f"config key detection.systems: {name!r} is no trained system of this experiment"
                f" that is fed clips alone; choose from {', '.join(suitable) or '(none)'}"
            )
    if unfit := [
        name
        for name in chosen["datasets"]
        if name in experiment.sets and experiment.sets[name].kind != "bouncing"
    ]:
        raise ValueError(
            f"config key detection.datasets: {', '.join(unfit)} have no classes to detect;"
            " choose other data sets"
        )
    made = {(run.system, run.dataset) for run in experiment.detection_runs()}
    missing = [
        f"{s} on {d}" for s in chosen["systems"] for d in chosen["datasets"] if (s, d) not in made
    ]
    if missing:
        raise ValueError(
            f"config key detection.datasets: this experiment does not train {', '.join(missing)}; "
            f"choose from {', '.join(experiment.datasets)}"
        )
    shortest, longest = chosen["videos"]["frames"]
    pieces = 5 * chosen["videos"]["piece"]
    if not max(pieces, 2 * config["video"]["frames"]) <= shortest <= longest:
        raise ValueError(
            f"config key detection.videos.frames: [{shortest}, {longest}]; give [shortest,"
            f" longest], the shortest at least {pieces} (five pieces) and"
            f" {2 * config['video']['frames']} (two clips)"
        )


def _check_system(system: System, frames: int) -> None:
    """Names that exist, and frames enough for what the system does with them."""
    try:
        source_file(system.model, models.MODELS, "model")
        source_file(system.objective, objectives.OBJECTIVES, "objective")
    except ValueError as error:
        raise ValueError(f"config key systems, {system.name}: {error}") from None
    _check_stages(system)
    if system.weights and not system.starts_from:
        _check_weights(system)
    _check_inputs(system, frames)
    observed = system.objective_params.get("observed", 0)
    if observed >= frames:
        raise ValueError(
            f"config key video.frames: system {system.name} observes {observed} of {frames} frames"
            " and has none left to predict; raise frames or lower its objective_params.observed"
        )


def _check_weights(system: System) -> None:
    """A model that takes pretrained weights, and a file that exists unless the experiment makes
    it.
    """
    if not models.traits(system.model).takes_weights:
        raise ValueError(
            f"config key systems, {system.name}.weights: model {system.model!r} takes no pretrained"
            " weights; give it a method load_pretrained(state, source) or leave weights out"
        )
    if system.weights != STILL_DIGITS and not Path(system.weights).is_file():
        raise ValueError(f"config key systems, {system.name}.weights: no file {system.weights}")


def _check_start(system: System, experiment: Experiment) -> None:
    """A system to start from that is another one, has the same model, and is trained wherever this
    one is.
    """
    key = f"config key systems, {system.name}.weights"
    first = experiment.systems.get(system.starts_from)
    if first is None or first is system or not first.seeds:
        raise ValueError(
            f"{key}: {system.starts_from!r} is no other trained system of this experiment; add it"
            " to systems"
        )
    if first.model != system.model:
        raise ValueError(f"{key}: {first.name} has model {first.model}, not {system.model}")
    made = {
        (run.dataset, run.seed) for run in experiment.trained_runs() if run.system == first.name
    }
    wanted = [run for run in experiment.trained_runs() if run.system == system.name]
    if missing := [
        f"{run.dataset} with seed {run.seed}"
        for run in wanted
        if (run.dataset, run.seed) not in made
    ]:
        raise ValueError(
            f"{key}: {first.name} is not trained on {', '.join(missing)}; give both the same"
            " datasets and seeds"
        )


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


def _check_inputs(system: System, frames: int) -> None:
    """The inputs of its model, and flow fields enough for a stack of them."""
    traits = models.traits(system.model)
    stack = system.params.get("stack", traits.flow_stack)
    bidirectional = system.params.get("bidirectional", False)
    if traits.flow_stack and stack > frames - 1:
        raise ValueError(
            f"config key video.frames: {frames} frames have {frames - 1} flow fields, too few for"
            f" the stack of {stack} of system {system.name}; use {stack + 1} frames or lower its"
            " params.stack"
        )
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
