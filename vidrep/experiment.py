"""What an experiment consists of: its systems, runs and evaluation sets, read from the
configuration.

The Snakefile imports this module every time it is parsed, in every job, so it imports nothing
heavy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

CATALOGUE = Path(__file__).parent / "catalogue"
# weights that the experiment itself makes: a CNN trained on its digits
STILL_DIGITS = "still_digits"
RUN_WEIGHTS = "run:"  # what stands before the name of a system whose run another one starts from
UNTRAINED = "untrained"  # the seed of an untrained twin
# what a network of somebody else's was trained on, and its family, where the configuration does not
# say
EXTERNAL = "external"
# videos of one process: only systems that name them are trained on them
SEQUENCES = ("sequences", "sequences_unwarped")
DEFAULT_RECIPE = {
    "optimiser": "adamw",
    "schedule": "constant",
    "lr": 1e-3,
    "weight_decay": 0.0,
    "batch": 32,
    "gradient_clip": None,
    "flip": 0.0,
    "labelled": None,
    "epochs": [1],
}


@dataclass(frozen=True)
class System:
    """Model + objective + inputs + recipe under one name.

    Attributes:
        name: its name in the catalogue or the configuration.
        family: family in figures.
        model, params: the network and its constructor's arguments.
        objective, objective_params: what it is trained for.
        inputs: some of "clip", "flow", "flow_backward".
        flow: method of the flow it is fed ("true", "dis", ...), None without flow; backward flow is
            that of the same method.
        recipe: optimiser, lr, schedule, weight_decay, batch, gradient_clip, flip, labelled, epochs
            (one number a stage).
        seeds: seeds of its runs; empty for controls, which are never trained.
        datasets: the data sets it is trained on; empty for all of the experiment but sequences.
        weights: what its trained runs start from: a file of pretrained weights, ``STILL_DIGITS``,
            or ``run:<system>``, the run of that system on the same data set with the same seed;
            None for random weights.
        citation: where it comes from.
        preset: reference, narrow or control.
    """

    name: str
    family: str
    model: str
    params: dict
    objective: str
    objective_params: dict
    inputs: tuple[str, ...]
    flow: str | None
    recipe: dict
    seeds: tuple[int, ...]
    datasets: tuple[str, ...]
    weights: str | None
    citation: str
    preset: str

    @property
    def starts_from(self) -> str | None:
        """The system whose runs its own start from, if any."""
        return (
            self.weights.removeprefix(RUN_WEIGHTS)
            if (self.weights or "").startswith(RUN_WEIGHTS)
            else None
        )

    def definition(self) -> dict:
        """What determines the result of a run apart from data and seed (display fields left
        out).
        """
        keys = (
            "name",
            "model",
            "params",
            "objective",
            "objective_params",
            "inputs",
            "flow",
            "recipe",
        )
        return {key: getattr(self, key) for key in (*keys, *(["weights"] if self.weights else []))}


def flow_inputs(inputs: Sequence[str], flow: str | None) -> dict[str, str]:
    """The flow method behind each flow input of a system: ``flow`` gives "true", ``flow_backward``
    then gives "true_backward".
    """
    return {
        name: f"{flow}{name.removeprefix('flow')}" for name in inputs if name.startswith("flow")
    }


@dataclass(frozen=True)
class Run:
    """One system trained on one data set with one seed; seed "untrained" is the untrained twin."""

    dataset: str
    system: str
    seed: int | str

    @property
    def stem(self) -> str:
        """File stem of the run's activations."""
        return f"{self.dataset}--{self.system}--seed{self.seed}"


@cache
def catalogue() -> dict[str, dict]:
    """The catalogue as plain data: name -> entry. Its files, one a family, lie in
    ``vidrep/catalogue/``.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    files = sorted(CATALOGUE.glob("*.yaml"))
    return {
        name: entry
        for file in files
        for name, entry in yaml.load(file.read_text(), Loader=loader).items()
    }


def system(entry: dict | str) -> System:
    """A system from one item of the configuration's ``systems`` list: a catalogue name, changed
    where the item says so.

    Raises:
        ValueError: unknown name, or a system of the user's own that lacks a key.
    """
    entry = {"name": entry} if isinstance(entry, str) else dict(entry)
    name = entry["name"]
    base = catalogue().get(name, {})
    if not base and "model" not in entry:
        known = ", ".join(sorted(catalogue()))
        raise ValueError(
            f"config key systems: {name!r} is not in the catalogue and names no model of its own;"
            f" known: {known}"
        )
    merged = {
        "preset": "own",
        "family": "own",
        "citation": "",
        "objective": "classification",
        "inputs": ["clip"],
        **base,
    }
    for key, value in entry.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    inputs = tuple(merged["inputs"])
    return System(
        name=name,
        family=merged["family"],
        model=merged["model"],
        params=merged.get("params", {}),
        objective=merged["objective"],
        objective_params=merged.get("objective_params", {}),
        inputs=inputs,
        flow=merged.get("flow", "true") if flow_inputs(inputs, None) else None,
        recipe={**DEFAULT_RECIPE, **merged.get("recipe", {})},
        seeds=() if merged["preset"] == "control" else tuple(merged.get("seeds", [0])),
        datasets=tuple(merged.get("datasets", ())),
        weights=merged.get("weights"),
        citation=merged["citation"],
        preset=merged["preset"],
    )


class Experiment:
    """The runs of a configuration and what is evaluated on what."""

    def __init__(self, config: dict) -> None:
        self.config = config
        self.name: str = config["experiment"]
        self.datasets: list[str] = config["datasets"]
        self.transfer: bool = config["transfer"]
        self.systems = {item.name: item for item in map(system, config["systems"])}

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
        """Methods of forward flow that some system is fed or that the configuration asks to
        score.
        """
        used = {s.flow for s in self.systems.values() if s.flow}
        return sorted(used | {"true"} | set(self.config["flow"]["estimators"]))
