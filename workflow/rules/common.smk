# Configuration, paths and the helpers that all stages share.

import json
import sys
from functools import cache
from pathlib import Path

import yaml

from vidrep import measures, models, objectives
from vidrep.code_version import code_version
from vidrep.config import check, fill_defaults, schema_error
from vidrep.command_line import use_checkout
from vidrep.experiment import SEQUENCES
from vidrep.flow import FLOWS
from vidrep.naming import source_file
from vidrep.runs import UNTRAINED, Run, first_seeds
from vidrep.similarity_analysis import TABLES as ANALYSIS_TABLES
from vidrep.systems import STILL_DIGITS, flow_inputs
from vidrep.training.gpu_slots import any_visible

ROOT = Path(workflow.basedir)
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"

use_checkout(ROOT)


def read_experiment():
    """The experiment, or one clear line and exit status 1."""
    schema = yaml.safe_load(SCHEMA.read_text())
    problem = schema_error(config, schema)
    if problem:
        sys.exit(f"error: {problem}")
    fill_defaults(config, schema)
    try:
        return check(config)
    except ValueError as error:
        sys.exit(f"error: {error}")


EXPERIMENT = read_experiment()
SYSTEMS = EXPERIMENT.systems
FAMILIES = {name: system.family for name, system in SYSTEMS.items()}


def any_of(names):
    """A pattern that matches each of ``names`` and nothing else."""
    return "|".join(dict.fromkeys(names)) or "(?!)"


pathvars:
    results=f"results/{EXPERIMENT.name}",
    logs=f"results/{EXPERIMENT.name}/logs",
    benchmarks=f"results/{EXPERIMENT.name}/benchmarks",


wildcard_constraints:
    dataset="|".join(EXPERIMENT.datasets),
    evaluated="|".join(EXPERIMENT.datasets),
    split="train|validation|test",
    system="|".join(SYSTEMS),
    seed=r"\d+|untrained",
    method=any_of(FLOWS),
    measure="[a-z0-9_]+",


def script(name):
    """Path of a stage's script."""
    return ROOT / "scripts" / f"{name}.py"


def code(name):
    """Digest of a script and all library code it imports, as an input function: parsing the Snakefile does not pay for it."""
    return lambda wildcards: code_version(script(name))


def measure_code(name, *used):
    """Digest of a script and of the measures it uses: other measures' files do not count."""
    return code_version(script(name), *map(measures.source_file, used))


@cache
def system_code(name, system, *files):
    """Digest of a script, of one system's model and objective, and of further files: other systems' files do not count."""
    chosen = SYSTEMS[system]
    return code_version(
        script(name),
        source_file(chosen.model, models.MODELS, "model"),
        source_file(chosen.objective, objectives.OBJECTIVES, "objective"),
        *files,
    )


def flow_of(system, dataset, split, name="flow"):
    """The store of the flow input `name` that a system is fed for one split; none for systems without it."""
    method = flow_methods(system).get(name)
    return [f"<results>/flow/{dataset}/{split}/{method}.zarr"] if method else []


def flow_methods(system):
    """The flow method of each flow input of a system."""
    return flow_inputs(SYSTEMS[system].inputs, SYSTEMS[system].flow)


def on_sets(pattern, datasets):
    """One path of each data set."""
    return [pattern.replace("<set>", name) for name in datasets]


def flow_of_sets(datasets, split, name="flow"):
    """The stores of a flow input for one split of some data sets, as an input function."""
    return lambda wc: [
        path for dataset in datasets for path in flow_of(wc.system, dataset, split, name)
    ]


def flow_options(wildcards, input):
    """All inputs of a job that are flow, as options of its script."""
    return " ".join(
        option(name.replace("_", "-"), files) for name, files in input.items() if "_flow" in name
    )


def clip_mb(clips, dataset, system=None):
    """Megabytes of clips in memory, and of their flow where a system is fed flow."""
    pixels = clips * EXPERIMENT.frames(dataset) * config["video"]["size_px"] ** 2
    return (pixels * (1 + 4 * len(flow_methods(system) if system else ()))) // 10**6


def largest_mb(split, datasets, system):
    """Megabytes of the largest of some data sets, and of its flow, that a system is fed."""
    return max(clip_mb(config["clips"][split], dataset, system) for dataset in datasets)


GPU_HERE = any_visible()


def gpus(wildcards):
    """GPUs a network job asks for: none on this machine if it has none, else as configured."""
    return 0 if workflow.local_exec and not GPU_HERE else config["training"]["gpu"]


def growing(amount):
    """A request for memory or time that grows with every attempt; `amount`, a number or a function of wildcards, is the first one."""
    return lambda wildcards, attempt: attempt * (amount(wildcards) if callable(amount) else amount)


def passing(path):
    """An intermediate output: with retention temp it goes when nothing more needs it."""
    return temp(path) if config["retention"] == "temp" else path


def option(name, values):
    """`--name a b` when there are values, else nothing."""
    return f"--{name} {' '.join(map(str, values))}" if values else ""


# digits


def digit_files(wildcards):
    """The files that the digit source is read from; none for scikit-learn's digits."""
    digits = config["digits"]
    if digits["kind"] == "mnist":
        return [f"{digits['folder']}/{name}" for name in MNIST_FILES]
    return [digits["images"], digits["labels"]] if digits["kind"] == "idx" else []


def digit_options():
    """The digit source as options of split_digits.py."""
    return " ".join(
        f"--{key} {config['digits'][key]}"
        for key in ("kind", "folder", "images", "labels", "name")
        if key in config["digits"]
    )


# data sets


def video_options(wildcards):
    """Geometry of a data set's clips, and of sequences their script, as options of render_dataset.py."""
    settings = config["video"] | (config["sequences"] if wildcards.dataset in SEQUENCES else {})
    return " ".join(
        f"--{key.removesuffix('_px')} {value}" for key, value in sorted(settings.items())
    )


# training


def run_definition(wildcards):
    """Definition of the run's system as JSON."""
    system = SYSTEMS[wildcards.system]
    return json.dumps(
        {**system.definition(), "first_seed": min(system.seeds, default=0)}, sort_keys=True
    )


def pretrained_of(wildcards):
    """The weights file that a run starts from; none for random ones and for untrained twins."""
    system = SYSTEMS[wildcards.system]
    weights = system.weights
    if not weights or wildcards.seed == UNTRAINED:
        return []
    if system.starts_from:
        return [
            f"<results>/runs/{wildcards.dataset}/{system.starts_from}/seed{wildcards.seed}/weights.pt"
        ]
    return [f"<results>/pretrained/{STILL_DIGITS}.pt" if weights == STILL_DIGITS else weights]


# activations


CLIP_SETS, *LONGER_SETS = (
    EXPERIMENT.alike()
)  # at most two groups of equally long clips: transfer stays within a group
LONGER_SETS = LONGER_SETS[0] if LONGER_SETS else []


def set_options(wildcards, input):
    """The files of data sets as options of extract.py."""
    return " ".join(
        [option("test", input.test), option("fit", input.fit), flow_options(wildcards, input)]
    )


def pooling_option():
    policy = config["activations"]["pooling"]
    return policy if isinstance(policy, str) else " ".join(map(str, policy))


def external_file(wildcards):
    """The file of activations behind the store of an external network."""
    run = Run(wildcards.dataset, wildcards.system, int(wildcards.seed))
    return next(
        item["file"]
        for item, other in EXPERIMENT.external()
        if (item["evaluated_on"], other) == (wildcards.evaluated, run)
    )


# similarity


LAYER_MEASURE = config["similarity"]["measures"][
    0
]  # the one that is shown layer by layer, and whose distances are mapped


def similarity_tables():
    """The similarity tables of all evaluation sets and measures."""
    return collect(
        "<results>/similarity/{evaluated}/{measure}.csv",
        evaluated=EXPERIMENT.datasets,
        measure=config["similarity"]["measures"],
    )


# functional_similarity


def functional_similarity_tables():
    """The functional comparisons of all evaluation sets."""
    return collect("<results>/functional_similarity/{evaluated}.csv", evaluated=EXPERIMENT.datasets)


# similarity_analysis


# generation


def generated_sets(wildcards):
    """The data sets whose test clips a run generates, its own first."""
    seed = wildcards.seed if wildcards.seed == UNTRAINED else int(wildcards.seed)
    return EXPERIMENT.evaluation_sets(Run(wildcards.dataset, wildcards.system, seed))


def generated_files(suffix, evaluated=None):
    """The files of all runs that generate frames, untrained twins too; only of those that generate frames of ``evaluated`` if given."""
    runs = EXPERIMENT.evaluated_on(evaluated) if evaluated else EXPERIMENT.runs()
    return [
        f"<results>/generation/{run.dataset}/{run.system}/seed{run.seed}{suffix}"
        for run in runs
        if EXPERIMENT.generates(run.system)
    ]


def prediction_tables():
    """The tables of what runs predict; none without such runs."""
    return (
        [f"<results>/tables/{name}.csv" for name in ("prediction", "prediction_verdict")]
        if EXPERIMENT.generating_runs()
        else []
    )


# alignment


ALIGN_BASELINES = ("frame_index", "raw_pixels", "chance")


def first_matches(wildcards):
    """The matched videos of a system's first run."""
    seed = min(SYSTEMS[wildcards.system].seeds)
    return f"<results>/alignment/{wildcards.dataset}/{wildcards.dataset}--{wildcards.system}--seed{seed}.h5"


def alignment_parts():
    """The scores of all runs and baselines."""
    baselines = [
        f"{evaluated}/{evaluated}--{name}--seed{UNTRAINED}"
        for evaluated in EXPERIMENT.sequences()
        for name in ALIGN_BASELINES
    ]
    return [
        f"<results>/alignment/{part}.csv"
        for part in baselines + [f"{d}/{run.stem}" for d, run in EXPERIMENT.alignment_runs()]
    ]


# detection


def untrimmed_mb(videos):
    """Megabytes of untrimmed videos in memory."""
    return (
        videos
        * config["detection"]["videos"]["frames"][1]
        * config["video"]["size_px"] ** 2
        // 10**6
    )


def detection_table():
    """The table of detection scores; none without detection."""
    return ["<results>/tables/detection.csv"] if EXPERIMENT.detection_runs() else []


# alignment


def alignment_table():
    """The table of alignment scores; none without sequences."""
    return ["<results>/tables/alignment.csv"] if EXPERIMENT.sequences() else []


# tables


def tables():
    """All tables of the experiment."""
    names = ["training_time"] if EXPERIMENT.followed_runs() else []
    names += ["accuracy", "probes", "confusion", "cost", "nearest", *ANALYSIS_TABLES] + (
        ["flow_error"] if ESTIMATORS else []
    )
    return (
        [f"<results>/tables/{name}.csv" for name in names]
        + detection_table()
        + prediction_tables()
        + alignment_table()
    )


def evaluations(suffix, folder):
    """One file for each evaluation set and run opened up on it."""
    return [
        f"<results>/{folder}/{evaluated}/{run.stem}{suffix}"
        for evaluated in EXPERIMENT.datasets
        for run in EXPERIMENT.evaluated_on(evaluated)
    ]
