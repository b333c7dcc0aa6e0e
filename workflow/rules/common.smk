# Configuration, paths and the helpers that all stages share.

import json
import sys
from pathlib import Path

import yaml

from vidrep import models, objectives
from vidrep.code_version import code_version
from vidrep.config import check, fill_defaults, schema_error
from vidrep.command_line import use_checkout
from vidrep.experiment import Run
from vidrep.naming import source_file
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
    method="true|dis|farneback",
    measure="[a-z0-9_]+",


def script(name):
    """Path of a stage's script."""
    return ROOT / "scripts" / f"{name}.py"


def code(name):
    """Digest of a script and all library code it imports, as an input function: parsing the Snakefile does not pay for it."""
    return lambda wildcards: code_version(script(name))


def system_code(name, system):
    """Digest of a script and of one system's model and objective: other systems' files do not count."""
    chosen = SYSTEMS[system]
    return code_version(
        script(name),
        source_file(chosen.model, models.MODELS, "model"),
        source_file(chosen.objective, objectives.OBJECTIVES, "objective"),
    )


def flow_of(system, dataset, split):
    """The flow store that a system is fed for one split; none for systems without flow."""
    method = SYSTEMS[system].flow
    return [f"<results>/flow/{dataset}/{split}/{method}.zarr"] if method else []


def clip_mb(clips, system=None):
    """Megabytes of clips in memory, and of their flow where a system is fed flow."""
    video = config["video"]
    pixels = clips * video["frames"] * video["size_px"] ** 2
    return (pixels * (5 if system and SYSTEMS[system].flow else 1)) // 10**6


def gpus(wildcards):
    """GPUs a network job asks for: none on this machine if it has none, else as configured."""
    return 0 if workflow.local_exec and not any_visible() else config["training"]["gpu"]


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
        f"--{key} {config['digits'][key]}" for key in ("kind", "folder", "images", "labels", "name") if key in config["digits"]
    )


# training


def run_definition(wildcards):
    """Definition of the run's system as JSON."""
    system = SYSTEMS[wildcards.system]
    return json.dumps({**system.definition(), "first_seed": min(system.seeds, default=0)}, sort_keys=True)


# activations


def on_sets(pattern, evaluated):
    """One path of each evaluation set."""
    return [pattern.replace("<set>", name) for name in evaluated]


def set_options(wildcards, input):
    """The files of the evaluation sets as options of extract.py."""
    names = ("test", "fit", "test_flow", "fit_flow")
    return " ".join(option(name.replace("_", "-"), input.get(name, [])) for name in names)


def pooling_option():
    policy = config["activations"]["pooling"]
    return policy if isinstance(policy, str) else " ".join(map(str, policy))


# similarity


def similarity_tables():
    """The similarity tables of all evaluation sets and measures."""
    return collect(
        "<results>/similarity/{evaluated}/{measure}.csv", evaluated=EXPERIMENT.datasets, measure=config["similarity"]["measures"]
    )


# generation


def drawing_runs():
    """Trained runs whose objective reconstructs or predicts frames."""
    return [run for run in EXPERIMENT.trained_runs() if SYSTEMS[run.system].objective == "lstm_composite"]


# tables


def tables():
    """All tables of the experiment."""
    names = ["accuracy", "probes", "confusion", "cost"] + (["flow_error"] if ESTIMATORS else [])
    return [f"<results>/tables/{name}.csv" for name in names]


def evaluations(suffix, folder):
    """One file for each evaluation set and run opened up on it."""
    return [
        f"<results>/{folder}/{evaluated}/{run.stem}{suffix}"
        for evaluated in EXPERIMENT.datasets
        for run in EXPERIMENT.evaluated_on(evaluated)
    ]
