"""What must hold among keys: what would fail hours later fails before the first job."""

from pathlib import Path

from vidrep.config.system_checks import check_system, where_counted
from vidrep.datasets.declared import KINDS
from vidrep.digits import MNIST_FILES
from vidrep.experiment import Experiment
from vidrep.naming import nearest
from vidrep.systems import System

EXTERNAL_SUFFIXES = (".npz", ".h5", ".hdf5", ".zarr", ".zip", ".pt", ".pth", ".safetensors")


def check(config: dict) -> Experiment:
    """The experiment that a complete configuration describes.

    Raises:
        ValueError: one line that names the key, what is wrong and what would be right.
    """
    experiment = Experiment(config)
    if any(KINDS[data_set.kind].uses_digits for data_set in experiment.sets.values()):
        _check_digits(config["digits"])
    _check_clips(experiment)
    _check_systems(experiment)
    _check_trained_on(experiment)
    if config["detection"]["systems"]:
        _check_detection(experiment)
    _check_external(experiment)
    return experiment


def _check_digits(digits: dict) -> None:
    """Files of digits that exist, unless they are fetched."""
    if digits["kind"] == "mnist" and not digits.get("mirrors"):
        for name in MNIST_FILES:
            path = Path(digits["folder"]) / name
            if not path.is_file():
                raise ValueError(
                    f"config key digits.folder: no file {path}; put the archives there, or give"
                    " mirrors to fetch them from"
                )
    if digits["kind"] == "idx":
        for key in ("images", "labels"):
            if not Path(digits[key]).is_file():
                raise ValueError(f"config key digits.{key}: no file {digits[key]}")


def _check_clips(experiment: Experiment) -> None:
    """As many clips in every data set as some stages take; of videos they take what there is."""
    config = experiment.config
    for name, data_set in experiment.sets.items():
        if not data_set.clips_known:
            continue
        wanted = [("activations", "clips", "test"), ("activations", "fit_clips", "train")]
        if name in experiment.sequences():
            wanted += [("alignment", "test", "test"), ("alignment", "train", "train")]
        for section, key, split in wanted:
            count = config[section][key]
            there = data_set.clips[split]
            if count > there:
                source = where_counted(data_set, split, experiment)
                raise ValueError(
                    f"config key {section}.{key}: {count} clips wanted, {source} is {there}"
                )


def _check_systems(experiment: Experiment) -> None:
    """Systems that are listed once, and fit the data sets that they are trained on."""
    entries = experiment.config["systems"]
    names = [entry if isinstance(entry, str) else entry["name"] for entry in entries]
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
        _check_sets_of(system, experiment)
        check_system(system, experiment)


def _check_sets_of(system: System, experiment: Experiment) -> None:
    """Data sets of the experiment, at least one."""
    key = f"config key systems, {system.name}"
    for name in system.datasets:
        if name not in experiment.datasets:
            raise ValueError(
                f"{key}.datasets: {name} is not among the experiment's data sets; add it to"
                f" datasets, or {nearest(name, experiment.datasets)}"
            )
    if not experiment.made_for(system):
        raise ValueError(
            f"{key}: it is trained on none of the data sets; for sequences name them,"
            f" datasets: [{', '.join(experiment.sequences())}]"
        )


def _check_trained_on(experiment: Experiment) -> None:
    """A system for each data set on which only systems that name it are trained."""
    trained_on = {run.dataset for run in experiment.trained_runs()}
    for name, data_set in experiment.sets.items():
        if data_set.named_only and name not in trained_on:
            raise ValueError(
                f"config key datasets: no system is trained on {name}; only systems that name it"
                " under their own datasets are, such as tcc_narrow"
            )


def _check_detection(experiment: Experiment) -> None:
    """Runs that exist and can serve as clip networks, and videos long enough for their pieces."""
    chosen = experiment.config["detection"]
    suitable = [
        name
        for name, system in experiment.systems.items()
        if system.seeds and system.inputs == ("clip",)
    ]
    for name in chosen["systems"]:
        if name not in suitable:
            raise ValueError(
                f"config key detection.systems: {name!r} is no trained system of this experiment"
                f" that is fed clips alone; choose from {', '.join(suitable) or '(none)'}"
            )
    for name in chosen["datasets"]:
        if name in experiment.sets and not KINDS[experiment.sets[name].kind].untrimmed:
            raise ValueError(
                f"config key detection.datasets: {name}: there are no classes to detect in"
                " long videos of it; choose other data sets"
            )
    made = {(run.system, run.dataset) for run in experiment.detection_runs()}
    for system in chosen["systems"]:
        for dataset in chosen["datasets"]:
            if (system, dataset) not in made:
                raise ValueError(
                    "config key detection.datasets: this experiment does not train"
                    f" {system} on {dataset}; choose from {', '.join(experiment.datasets)}"
                )
    _check_untrimmed(experiment)


def _check_untrimmed(experiment: Experiment) -> None:
    """Untrimmed videos that hold five pieces and two clips."""
    chosen = experiment.config["detection"]
    shortest, longest = chosen["videos"]["frames"]
    pieces = 5 * chosen["videos"]["piece"]
    clips = 2 * max(experiment.sets[name].frames for name in chosen["datasets"])
    if not max(pieces, clips) <= shortest <= longest:
        raise ValueError(
            f"config key detection.videos.frames: [{shortest}, {longest}]; give [shortest,"
            f" longest], the shortest at least {pieces} (five pieces) and {clips} (two clips)"
        )


def _check_external(experiment: Experiment) -> None:
    """External files that exist and can name their clips, evaluation sets, names not taken."""
    seen = set()
    families: dict[str, str | None] = {}
    for item, run in experiment.external():
        name = item["name"]
        evaluated_on = item["evaluated_on"]
        key = f"config key external, {name}"
        path = Path(item["file"])
        if name in experiment.systems:
            raise ValueError(f"{key}: a system of the experiment has this name; choose another")
        if evaluated_on not in experiment.datasets:
            raise ValueError(
                f"{key}.evaluated_on: {evaluated_on} is not among the experiment's data sets;"
                f" {nearest(evaluated_on, experiment.datasets)}"
            )
        if path.suffix not in EXTERNAL_SUFFIXES:
            raise ValueError(
                f"{key}.file: {path} is not one of {', '.join(EXTERNAL_SUFFIXES)}, which can hold"
                " arrays and ids"
            )
        if not path.exists():
            raise ValueError(f"{key}.file: no file {path}")
        if (evaluated_on, run) in seen:
            raise ValueError(
                f"{key}: listed twice for {evaluated_on}; give each a name or a seed of its own"
            )
        seen.add((evaluated_on, run))
        if families.setdefault(name, item.get("family")) != item.get("family"):
            raise ValueError(
                f"{key}.family: {name} has another family elsewhere in the list; give it one"
            )
