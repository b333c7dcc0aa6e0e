# Digests of the code that results depend on: Snakemake does not see the modules that a script imports.

from functools import cache

from vidrep import measures, models, objectives
from vidrep.code_version import code_version
from vidrep.naming import source_file


def script(name):
    """Path of a stage's script."""
    return ROOT / "scripts" / f"{name}.py"


def code(name):
    """Digest of a script and the library code it imports, as an input function: parsing does not pay."""
    return lambda wildcards: code_version(script(name))


def measure_code(name, *used):
    """Digest of a script and of the measures it uses: other measures' files do not count."""
    return code_version(script(name), *map(measures.source_file, used))


def codes(name, jobs, wildcards):
    """Digest of a script and of the models and objectives of a job's runs."""
    return "-".join(system_code(name, system) for system in systems_of(jobs, wildcards))


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
