"""How much work a job is and how many bytes it leaves.

Work is counted in units that time is proportional to within a rule.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from vidrep.activations.capture import capturing
from vidrep.activations.pooling import pool
from vidrep.experiment import Experiment
from vidrep.listing import blank_batch, build_on_meta
from vidrep.multiply_adds import MultiplyAdds
from vidrep.plan.jobs import Job
from vidrep.plan.records import EXTRACT, GENERATE, KERNELS, PROBE, TRAIN
from vidrep.runs import UNTRAINED


@dataclass(frozen=True)
class Size:
    """The size of a system.

    Attributes:
        macs: multiply-adds of embedding one clip.
        parameters: of model and objective.
        layers: of the model.
        features: pooled features of all layers together.
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
        self.data_sets = experiment.sets
        self._sizes: dict[tuple[str, tuple[int, ...]], Size] = {}

    def units(self, job: Job) -> float:
        """Work of a job, by which jobs of one rule compare; 1 where all are about alike."""
        measure = WORK.get(job.rule)
        return measure(self, job.wildcards) if measure else 1.0

    def megabytes(self, job: Job) -> float:
        """Size of a job's outputs before compression; 0.1 an output where nothing is known."""
        measure = DISK.get(job.rule)
        return measure(self, job.wildcards) if measure else 0.1 * len(job.outputs)

    def size(self, system: str, dataset: str) -> Size:
        """A system as it is for the clips of a data set, found without giving a tensor memory."""
        shape = self.data_sets[dataset].shape
        if (system, shape) not in self._sizes:
            self._sizes[system, shape] = self._measure(system, shape)
        return self._sizes[system, shape]

    @torch.no_grad()
    def _measure(self, system: str, shape: tuple[int, int, int, int]) -> Size:
        objective = build_on_meta(self.experiment.systems[system], shape).eval()
        layers = objective.model.layers
        with (
            torch.device("meta"),
            MultiplyAdds() as counter,
            capturing(objective.model, layers) as captured,
        ):
            objective.embed(blank_batch(shape))
        pooling = self.config["activations"]["pooling"]
        return Size(
            macs=counter.count,
            parameters=sum(parameter.numel() for parameter in objective.parameters()),
            layers=len(layers),
            features=sum(pool(values, pooling).numel() for values in captured.values()),
        )

    def size_of_run(self, wildcards: dict) -> Size:
        """The size of a run's system on its own data set."""
        return self.size(wildcards["system"], wildcards["dataset"])

    def gmacs(self, wildcards: dict, clips: float) -> float:
        """Multiply-adds of a run's system on some clips, in 10^9."""
        return self.size_of_run(wildcards).macs * clips / 1e9

    def sets(self, wildcards: dict) -> int:
        """On how many data sets one job evaluates the run."""
        if wildcards["seed"] == UNTRAINED:
            return 1
        return len(self.experiment.group_of(wildcards["dataset"]))

    def untrained_baselines(self, wildcards: dict) -> list[dict]:
        """The untrained baselines of a job, each as the wildcards of a job for one run.

        Those of one system, or of all small ones.
        """
        found = []
        for run in self.experiment.untrained_runs():
            small = self.experiment.systems[run.system].small
            if run.system == wildcards.get("system") or (small and "system" not in wildcards):
                found.append({"dataset": run.dataset, "system": run.system, "seed": run.seed})
        return found

    def trained_clips(self, wildcards: dict) -> float:
        """Clips that a run computes: a training step costs three times the scoring of a clip."""
        clips = self.data_sets[wildcards["dataset"]].clips
        if wildcards["seed"] == UNTRAINED:
            return clips["validation"]
        epochs = sum(self.experiment.systems[wildcards["system"]].recipe["epochs"])
        return epochs * (3 * clips["train"] + clips["validation"])

    def extracted_clips(self, wildcards: dict) -> float:
        """Clips that a run is scored on, manipulated ones too, and those stored for probes."""
        test = self.data_sets[wildcards["dataset"]].clips["test"]
        fit = self.config["activations"]["fit_clips"]
        controls = len(self.config["controls"])  # on the run's own data set alone
        return self.sets(wildcards) * (test + fit) + controls * test

    def representations(self, evaluated: str) -> int:
        """How many representations are compared on a data set."""
        runs = self.experiment.evaluated_on(evaluated)
        return sum(self.size(run.system, run.dataset).layers for run in runs)

    def stored_megabytes(self, wildcards: dict) -> float:
        """Megabytes of a run's activations."""
        stored = self.config["activations"]
        clips = stored["clips"] + stored["fit_clips"]
        values = self.size_of_run(wildcards).features * clips
        bytes_per_value = 2 if stored["dtype"] == "float16" else 4
        return self.sets(wildcards) * values * bytes_per_value / 1e6

    def score_megabytes(self, wildcards: dict) -> float:
        """Megabytes of a run's scores of single clips: probabilities, labels and a few more."""
        data_set = self.data_sets[wildcards["dataset"]]
        splits = self.sets(wildcards) + len(self.config["controls"])
        values = data_set.clips["test"] * (len(data_set.classes) + 4)
        return splits * 4 * values / 1e6

    @cached_property
    def kernel_values(self) -> float:
        """Values of one kernel, in millions."""
        return self.config["activations"]["clips"] ** 2 / 1e6


Measure = Callable[[Workload, dict], float]


def of_each_run(measure: Measure) -> Measure:
    """The same of a job for one run, and the sum of a job for all untrained baselines."""

    def measured(load: Workload, wildcards: dict) -> float:
        if "dataset" in wildcards:
            return measure(load, wildcards)
        baselines = load.untrained_baselines(wildcards)
        return sum(measure(load, baseline) for baseline in baselines)

    return measured


def megapixels(load: Workload, wildcards: dict) -> float:
    """Pixels of a split in millions."""
    chosen = load.data_sets[wildcards["dataset"]]
    pixels = chosen.clips[wildcards["split"]] * chosen.frames * chosen.height * chosen.width
    return pixels / 1e6


def clip_megabytes(load: Workload, wildcards: dict) -> float:
    """A byte for each channel of a pixel."""
    return load.data_sets[wildcards["dataset"]].channels * megapixels(load, wildcards)


def flow_megabytes(load: Workload, wildcards: dict) -> float:
    """Two values of two bytes a pixel."""
    return 4 * megapixels(load, wildcards)


@of_each_run
def training_gmacs(load: Workload, wildcards: dict) -> float:
    """Multiply-adds of a training."""
    return load.gmacs(wildcards, load.trained_clips(wildcards))


@of_each_run
def weights_megabytes(load: Workload, wildcards: dict) -> float:
    """Four bytes a parameter."""
    return 4 * load.size_of_run(wildcards).parameters / 1e6


@of_each_run
def extraction_gmacs(load: Workload, wildcards: dict) -> float:
    """Multiply-adds of extracting and scoring."""
    return load.gmacs(wildcards, load.extracted_clips(wildcards))


@of_each_run
def activation_megabytes(load: Workload, wildcards: dict) -> float:
    """Values of all layers for the clips stored, and the scores of all test clips."""
    return load.stored_megabytes(wildcards) + load.score_megabytes(wildcards)


@of_each_run
def generation_gmacs(load: Workload, wildcards: dict) -> float:
    """Multiply-adds of embedding all test clips."""
    if not load.experiment.generates(wildcards["system"]):
        return 0.0
    clips = load.sets(wildcards) * load.data_sets[wildcards["dataset"]].clips["test"]
    return load.gmacs(wildcards, clips)


@of_each_run
def probe_fits(load: Workload, wildcards: dict) -> float:
    """Fits of probes times the clips of each, in thousands."""
    settings = load.config["probes"]
    elsewhere = load.sets(wildcards) - 1  # the embedding alone
    layers = load.size_of_run(wildcards).layers + elsewhere
    fits = layers * len(settings["c"]) * settings["folds"]
    return fits * load.config["activations"]["fit_clips"] / 1e3


@of_each_run
def kernel_gmacs(load: Workload, wildcards: dict) -> float:
    """Multiply-adds of the kernels of all layers."""
    features = load.size_of_run(wildcards).features
    return load.sets(wildcards) * features * load.kernel_values / 1e3


@of_each_run
def kernel_megabytes(load: Workload, wildcards: dict) -> float:
    """Four bytes for each value of the kernels of all layers."""
    layers = load.size_of_run(wildcards).layers
    return load.sets(wildcards) * 4 * layers * load.kernel_values


def comparison_work(load: Workload, wildcards: dict) -> float:
    """Values of the kernels of all pairs of representations, in 10^9."""
    pairs = load.representations(wildcards["evaluated"]) ** 2
    return pairs * load.kernel_values / 1e3


def table_megabytes(load: Workload, wildcards: dict) -> float:
    """About 120 bytes a pair of representations."""
    return 120 * load.representations(wildcards["evaluated"]) ** 2 / 2 / 1e6


WORK: dict[str, Measure] = {
    "render_dataset": megapixels,
    "compute_flow": megapixels,
    **dict.fromkeys(TRAIN, training_gmacs),
    **dict.fromkeys(EXTRACT, extraction_gmacs),
    **dict.fromkeys(GENERATE, generation_gmacs),
    **dict.fromkeys(PROBE, probe_fits),
    **dict.fromkeys(KERNELS, kernel_gmacs),
    "compare": comparison_work,
}
DISK: dict[str, Measure] = {
    "render_dataset": clip_megabytes,
    "compute_flow": flow_megabytes,
    **dict.fromkeys(TRAIN, weights_megabytes),
    **dict.fromkeys(EXTRACT, activation_megabytes),
    **dict.fromkeys(KERNELS, kernel_megabytes),
    "compare": table_megabytes,
}
