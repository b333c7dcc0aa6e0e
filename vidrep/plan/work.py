"""How much work a job is and how many bytes it leaves, in units that time and disk are proportional
to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch.utils.flop_counter import FlopCounterMode

from vidrep.activations.capture import capturing
from vidrep.activations.pooling import pool
from vidrep.experiment import Experiment
from vidrep.listing import blank_batch, build_on_meta
from vidrep.plan.jobs import Job
from vidrep.plan.records import EXTRACT, KERNELS, PROBE
from vidrep.runs import UNTRAINED


@dataclass(frozen=True)
class Size:
    """A system: multiply-adds of embedding one clip, parameters, layers, and pooled features of all
    layers together.
    """

    macs: int
    parameters: int
    layers: int
    features: int


class Workload:
    """The jobs of one experiment, measured in units of work.

    Args:
        experiment: it.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.config = experiment.config
        self._sizes: dict[tuple[str, int], Size] = {}

    def units(self, job: Job) -> float:
        """Work of a job; jobs of one rule compare by it. 1 for rules whose jobs are all about
        alike.
        """
        measure = WORK.get(job.rule)
        return measure(self, job.wildcards) if measure else 1.0

    def megabytes(self, job: Job) -> float:
        """Size of a job's outputs before compression; 0.1 an output where nothing is known."""
        measure = DISK.get(job.rule)
        return measure(self, job.wildcards) if measure else 0.1 * len(job.outputs)

    def size(self, system: str, dataset: str) -> Size:
        """A system as it is for the clips of a data set, found without giving a tensor memory."""
        frames = self.experiment.frames(dataset)
        side = self.config["video"]["size_px"]
        if (system, frames) not in self._sizes:
            self._sizes[system, frames] = self._measure(system, (1, frames, side, side))
        return self._sizes[system, frames]

    @torch.no_grad()
    def _measure(self, system: str, shape: tuple[int, int, int, int]) -> Size:
        objective = build_on_meta(self.experiment.systems[system], shape).eval()
        layers = objective.model.layers
        with (
            torch.device("meta"),
            FlopCounterMode(display=False) as counter,
            capturing(objective.model, layers) as captured,
        ):
            objective.embed(blank_batch(shape))
        features = sum(
            pool(values, self.config["activations"]["pooling"]).numel()
            for values in captured.values()
        )
        parameters = sum(parameter.numel() for parameter in objective.parameters())
        return Size(counter.get_total_flops() // 2, parameters, len(layers), features)

    def megapixels(self, dataset: str, clips: int) -> float:
        """Pixels of some clips."""
        return clips * self.experiment.frames(dataset) * self.config["video"]["size_px"] ** 2 / 1e6

    def gmacs(self, wildcards: dict, clips: float) -> float:
        """Multiply-adds of a run's system on some clips, in 10^9."""
        return self.size(wildcards["system"], wildcards["dataset"]).macs * clips / 1e9

    def sets(self, wildcards: dict) -> int:
        """How many data sets the run is opened up on together: all as long as its own, with
        transfer, if it is trained.
        """
        if not self.experiment.transfer or wildcards["seed"] == UNTRAINED:
            return 1
        return next(
            len(group) for group in self.experiment.alike() if wildcards["dataset"] in group
        )

    def twins(self, system: str) -> list[dict]:
        """The untrained twins of a system, as the wildcards of a job for one run."""
        made_for = [dataset for dataset, made in self.experiment.pairs() if made.name == system]
        return [{"dataset": dataset, "system": system, "seed": UNTRAINED} for dataset in made_for]

    def trained_clips(self, wildcards: dict) -> float:
        """Clips that a run computes: a training step costs three times the scoring of a clip."""
        clips = self.config["clips"]
        if wildcards["seed"] == UNTRAINED:
            return clips["validation"]
        return sum(self.experiment.systems[wildcards["system"]].recipe["epochs"]) * (
            3 * clips["train"] + clips["validation"]
        )

    def opened_clips(self, wildcards: dict) -> float:
        """Clips that are scored, on each data set and manipulated on the run's own, and those
        stored for probes.
        """
        clips = self.config["clips"]
        stored = self.config["activations"]
        return (
            self.sets(wildcards) * (clips["test"] + stored["fit_clips"])
            + len(self.config["controls"]) * clips["test"]
        )

    def representations(self, evaluated: str) -> int:
        """How many representations are compared on a data set."""
        return sum(
            self.size(run.system, run.dataset).layers
            for run in self.experiment.evaluated_on(evaluated)
        )

    def stored_megabytes(self, wildcards: dict) -> float:
        stored = self.config["activations"]
        width = 2 if stored["dtype"] == "float16" else 4
        values = self.size(wildcards["system"], wildcards["dataset"]).features * (
            stored["clips"] + stored["fit_clips"]
        )
        return self.sets(wildcards) * values * width / 1e6

    @cached_property
    def kernel_values(self) -> float:
        """Values of one kernel, in millions."""
        return self.config["activations"]["clips"] ** 2 / 1e6


Measure = Callable[[Workload, dict], float]


def _extract(load: Workload, wc: dict) -> float:
    return load.gmacs(wc, load.opened_clips(wc))


def _probe(load: Workload, wc: dict) -> float:
    settings = load.config["probes"]
    # elsewhere the embedding alone
    layers = load.size(wc["system"], wc["dataset"]).layers + load.sets(wc) - 1
    return (
        layers
        * len(settings["c"])
        * settings["folds"]
        * load.config["activations"]["fit_clips"]
        / 1e3
    )


def _kernels(load: Workload, wc: dict) -> float:
    return (
        load.sets(wc) * load.size(wc["system"], wc["dataset"]).features * load.kernel_values / 1e3
    )


def _kernel_megabytes(load: Workload, wc: dict) -> float:
    return load.sets(wc) * 4 * load.size(wc["system"], wc["dataset"]).layers * load.kernel_values


def _each(measure: Measure) -> Measure:
    """Of a job for one run what ``measure`` tells; of a job for all twins of a system the sum over
    them.
    """
    return lambda load, wc: (
        measure(load, wc)
        if "dataset" in wc
        else sum(measure(load, twin) for twin in load.twins(wc["system"]))
    )


WORK: dict[str, Measure] = {
    "render_dataset": lambda load, wc: load.megapixels(
        wc["dataset"], load.config["clips"][wc["split"]]
    ),
    "compute_flow": lambda load, wc: load.megapixels(
        wc["dataset"], load.config["clips"][wc["split"]]
    ),
    **dict.fromkeys(
        ("train", "train_twins"), _each(lambda load, wc: load.gmacs(wc, load.trained_clips(wc)))
    ),
    **dict.fromkeys(EXTRACT, _each(_extract)),
    "generate": lambda load, wc: load.gmacs(wc, load.sets(wc) * load.config["clips"]["test"]),
    **dict.fromkeys(PROBE, _each(_probe)),
    **dict.fromkeys(KERNELS, _each(_kernels)),
    "compare": lambda load, wc: (
        load.representations(wc["evaluated"]) ** 2 * load.kernel_values / 1e3
    ),
}
DISK: dict[str, Measure] = {
    "render_dataset": lambda load, wc: load.megapixels(
        wc["dataset"], load.config["clips"][wc["split"]]
    ),
    "compute_flow": lambda load, wc: (
        4 * load.megapixels(wc["dataset"], load.config["clips"][wc["split"]])
    ),
    **dict.fromkeys(
        ("train", "train_twins"),
        _each(lambda load, wc: 4 * load.size(wc["system"], wc["dataset"]).parameters / 1e6),
    ),
    **dict.fromkeys(EXTRACT, _each(lambda load, wc: load.stored_megabytes(wc))),
    **dict.fromkeys(KERNELS, _each(_kernel_megabytes)),
    "compare": lambda load, wc: 120 * load.representations(wc["evaluated"]) ** 2 / 2 / 1e6,
}
