"""Systems: model, objective, inputs and recipe under one name, of the catalogue or a user's own.

The Snakefile imports this module every time it is parsed, in every job: nothing heavy here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from vidrep.naming import nearest

CATALOGUE = Path(__file__).parent / "catalogue"
# Weights that the experiment itself makes: a CNN trained on its digits.
STILL_DIGITS = "still_digits"
# What stands before the name of a system whose run another one starts from.
RUN_WEIGHTS = "run:"
# What determines the result of a run apart from data, seed and initial weights.
DEFINING = (
    "name",
    "model",
    "params",
    "objective",
    "objective_params",
    "inputs",
    "flow",
    "recipe",
)
DEFAULT_RECIPE = {
    "optimiser": "adamw",
    "schedule": "constant",
    "lr": 1e-3,
    "muon_lr": 0.06,
    "weight_decay": 0.0,
    "batch": 32,
    "gradient_clip": None,
    "flip": 0.0,
    "crop": [],
    "labelled": None,
    "endless": False,
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
        recipe: optimiser, lr, muon_lr, schedule, weight_decay, batch, gradient_clip, flip, crop,
            labelled, endless, epochs (one number a stage).
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
        if self.weights is None or not self.weights.startswith(RUN_WEIGHTS):
            return None
        return self.weights.removeprefix(RUN_WEIGHTS)

    @property
    def small(self) -> bool:
        """Does scoring it take less than starting Python? It is all of the library then, too."""
        own_code = ":" in self.model or ":" in self.objective
        return self.preset in ("narrow", "control") and not own_code

    @property
    def frozen(self) -> bool:
        """Is it a network with given weights, which is never trained?"""
        return self.objective == "none" and bool(self.seeds)

    def definition(self) -> dict:
        """What determines the result of a run apart from data and seed."""
        found = {key: getattr(self, key) for key in DEFINING}
        if self.weights:
            found["weights"] = self.weights
        return found


def flow_inputs(inputs: Sequence[str], flow: str | None) -> dict[str, str]:
    """The flow method behind each flow input of a system.

    Where ``flow`` is "true", the input ``flow`` gets "true", ``flow_backward`` "true_backward".
    """
    found = {}
    for name in inputs:
        if name.startswith("flow"):
            suffix = name.removeprefix("flow")
            found[name] = f"{flow}{suffix}"
    return found


@cache
def catalogue() -> dict[str, dict]:
    """The catalogue as plain data: name -> entry.

    Its files, by family, lie in ``vidrep/catalogue/``.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = {}
    for file in sorted(CATALOGUE.glob("*.yaml")):
        entries |= yaml.load(file.read_text(), Loader=loader)
    return entries


def system(entry: dict | str) -> System:
    """A system from one item of the configuration's ``systems``.

    Args:
        entry: a name of the catalogue, or a mapping with a name and what it changes.

    Raises:
        ValueError: unknown name, or a system of the user's own that lacks a key.
    """
    entry = {"name": entry} if isinstance(entry, str) else dict(entry)
    name = entry["name"]
    base = catalogue().get(name, {})
    if not base and "model" not in entry:
        meant = nearest(name, catalogue(), "python -m vidrep systems lists all names")
        raise ValueError(
            f"config key systems: {name!r} is not in the catalogue and names no model of its own;"
            f" {meant}"
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
    if not merged.pop("train", True):
        merged |= _frozen(entry)
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


def _frozen(entry: dict) -> dict:
    """What a system has whose network is used as its weights are, and never trained.

    Raises:
        ValueError: the entry says how to train it, or gives it no weights, or several seeds.
    """
    key = f"config key systems, {entry['name']}"
    for name in ("objective", "objective_params", "recipe"):
        if name in entry:
            raise ValueError(
                f"{key}.{name}: with train: false nothing is trained; leave one of them out"
            )
    if not entry.get("weights"):
        raise ValueError(
            f"{key}.train: false wants weights, the file of a trained network; the same network"
            " with random weights is its untrained baseline"
        )
    if len(entry.get("seeds", [0])) > 1:
        raise ValueError(
            f"{key}.seeds: {entry['seeds']}; with train: false all seeds would be the same network,"
            " give one"
        )
    recipe = {**DEFAULT_RECIPE, "epochs": []}
    return {"objective": "none", "objective_params": {}, "recipe": recipe}
