# Configuration, paths and the helpers that all stages share.

import json
import os
import sys
from pathlib import Path

import yaml

from vidrep import models, objectives
from vidrep.code_version import code_version
from vidrep.config import check, fill_defaults, schema_error
from vidrep.experiment import Run
from vidrep.naming import source_file
from vidrep.training.gpu_slots import any_visible

ROOT = Path(workflow.basedir)
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"

# `shell: python` and `script:` then mean the same interpreter; environments that --sdm activates still come first.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
# Scripts use the library of this checkout, also in environments that it is not installed in.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


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
