"""The configuration of an experiment, completed and checked: what would fail hours later fails before the first job."""

import copy

from vidrep import models, objectives
from vidrep.experiment import Experiment, System
from vidrep.naming import source_file


def schema_error(config: dict, schema: dict) -> str | None:
    """The most telling way in which ``config`` breaks ``schema``, in one line; None when it does not."""
    import jsonschema

    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(config))
    if error is None:
        return None
    path = ".".join(str(part) for part in error.absolute_path) or "(top level)"
    message = error.message
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))
        message = f"unknown key {', '.join(map(repr, unknown))}; known: {', '.join(error.schema['properties'])}"
    return f"config key {path}: {message}"


def fill_defaults(config: dict, schema: dict) -> None:
    """Put the schema's default for every key that ``config`` leaves out, at every depth, into it."""
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
    digits, video, clips = config["digits"], config["video"], config["clips"]
    needed = {"sklearn": (), "mnist": ("folder",), "idx": ("images", "labels")}[digits["kind"]]
    for key in needed:
        if key not in digits:
            raise ValueError(f"config key digits: kind {digits['kind']} needs {key}")
    if video["patch_px"] >= video["size_px"]:
        raise ValueError(
            f"config key video.patch_px: a digit of {video['patch_px']} px does not fit on a canvas of {video['size_px']} px; "
            "make patch_px smaller than size_px"
        )
    for key, limit, of in (("clips", "test", "activations"), ("fit_clips", "train", "activations")):
        if config[of][key] > clips[limit]:
            raise ValueError(f"config key {of}.{key}: {config[of][key]} clips wanted, clips.{limit} is {clips[limit]}")
    experiment = Experiment(config)
    names = [item if isinstance(item, str) else item["name"] for item in config["systems"]]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"config key systems: {name!r} is listed {names.count(name)} times; list it once with several seeds")
    if not experiment.trained_runs():
        raise ValueError("config key systems: only controls; list at least one system that is trained")
    for system in experiment.systems.values():
        _check_system(system, video["frames"])
    return experiment


def _check_system(system: System, frames: int) -> None:
    """Names that exist, and frames enough for what the system does with them."""
    try:
        source_file(system.model, models.MODELS, "model")
        source_file(system.objective, objectives.OBJECTIVES, "objective")
    except ValueError as error:
        raise ValueError(f"config key systems, {system.name}: {error}") from None
    stack = system.params.get("stack", 10) if system.model == "two_stream" else 0
    if stack > frames - 1:
        raise ValueError(
            f"config key video.frames: {frames} frames have {frames - 1} flow fields, too few for the stack of {stack} "
            f"of system {system.name}; use {stack + 1} frames or lower its params.stack"
        )
    observed = system.objective_params.get("observed", 0)
    if observed >= frames:
        raise ValueError(
            f"config key video.frames: system {system.name} observes {observed} of {frames} frames and has none left to predict; "
            "raise frames or lower its objective_params.observed"
        )
