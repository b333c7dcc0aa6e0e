# Configuration, paths and the helpers that all stages share.

import json
import sys
from functools import partial
from inspect import signature
from pathlib import Path

from vidrep.activations import STORE_SUFFIX
from vidrep.config import check, complete
from vidrep.command_line import use_checkout
from vidrep.flow import FLOWS
from vidrep.run_jobs import RUN, any_of
from vidrep.runs import UNTRAINED, Run
from vidrep.splits import SPLITS
from vidrep.training.gpu_slots import any_visible

ROOT = Path(workflow.basedir)

use_checkout(ROOT)


def or_exit(make, argument, key=""):
    """What `make` makes of an argument; a mistake of the user's becomes one clear line and status 1."""
    try:
        return make(argument)
    except ValueError as error:
        sys.exit(f"error: {key}{error}")


config.update(or_exit(complete, config))
CONFIG = json.dumps(config, sort_keys=True)  # for jobs
EXPERIMENT = or_exit(check, config)
SYSTEMS = EXPERIMENT.systems
GPU_HERE = any_visible()


pathvars:
    results=f"results/{EXPERIMENT.name}",
    logs=f"results/{EXPERIMENT.name}/logs",
    benchmarks=f"results/{EXPERIMENT.name}/benchmarks",


wildcard_constraints:
    dataset=any_of(EXPERIMENT.datasets),
    evaluated=any_of(EXPERIMENT.datasets),
    split=any_of(SPLITS),
    system=any_of(SYSTEMS),
    seed=rf"\d+|{UNTRAINED}",
    method=any_of(FLOWS),
    measure="[a-z0-9_]+",


def piped(name, **lists):
    """The start of a script's command that hands over lists of files through a pipe.

    Command lines have a limit, which files of all runs come near. Keys are options of the script, values stand
    for the files as in any command: `tables="input.tables"`.
    """
    files = " ".join(f"--{key.replace('_', '-')} {{{value}}}" for key, value in lists.items())
    return f"printf '%s\\n' {files} | python $VIDREP_SCRIPTS/{name}.py @/dev/stdin "


def option(name, values):
    """`--name a b` when there are values, one or a list, else nothing."""
    listed = [values] if isinstance(values, str) else values
    return f"--{name} {' '.join(map(str, listed))}" if values else ""


def run_of(wildcards):
    """The run that a job is about; jobs without a seed are about untrained baselines."""
    seed = wildcards.get("seed", UNTRAINED)
    return Run(wildcards.get("dataset"), wildcards.system, seed if seed == UNTRAINED else int(seed))


def filled_each(patterns, wildcards):
    """Names with wildcards in them, filled in one by one."""
    return (pattern.format(**wildcards) for pattern in patterns)


def filled(patterns, wildcards):
    """Names with wildcards in them, filled in."""
    return list(filled_each(patterns, wildcards))


def systems_of(jobs, wildcards):
    """The systems of a job's runs."""
    return list(dict.fromkeys(filled(jobs.met_by, wildcards)))


# resources


def gpus(wildcards):
    """GPUs a network job asks for: none on this machine if it has none, else as configured."""
    return 0 if workflow.local_exec and not GPU_HERE else config["training"]["gpu"]


def growing(amount):
    """A request for memory or time that grows with every attempt.

    The first one is `amount`, a number or a function of wildcards and, if it takes one, of the input.
    """
    if not callable(amount):
        return lambda wildcards, attempt: attempt * amount
    if "input" in signature(amount).parameters:
        return lambda wildcards, input, attempt: attempt * amount(wildcards, input)
    return lambda wildcards, attempt: attempt * amount(wildcards)


def clip_mb(split, sets, *systems):
    """Megabytes of a split in memory, and of the flow that systems are fed, of the largest data set."""
    flows = max((len(fed_flows(system)) for system in systems), default=0)
    return max(EXPERIMENT.sets[name].megabytes(split, flows) for name in sets)


def passing(path):
    """An intermediate output: with retention temp it goes when nothing more needs it."""
    return temp(path) if config["retention"] == "temp" else path
