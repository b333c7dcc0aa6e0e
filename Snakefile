# vidrep: digits -> datasets -> flow -> training -> activations -> similarity -> similarity_analysis,
# functional_similarity, probes, detection, generation, alignment -> report
#
# Each stage has its rules in workflow/rules/<stage>.smk, scripts in scripts/ and a room in vidrep/.

import sys
from pathlib import Path

from snakemake.utils import min_version

from vidrep.config import read_yaml

min_version("9.19")

try:  # Snakemake itself does not say where a file is no YAML.
    if Path("config.yaml").is_file():
        read_yaml("config.yaml")
except ValueError as error:
    sys.exit(f"error: {error}")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/code.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/digits.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/flow.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/similarity.smk"
include: "workflow/rules/functional_similarity.smk"
include: "workflow/rules/similarity_analysis.smk"
include: "workflow/rules/probes.smk"
include: "workflow/rules/detection.smk"
include: "workflow/rules/generation.smk"
include: "workflow/rules/alignment.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/retention.smk"
# Studies: what judges the library and its sources. Nothing else knows of them.
include: "studies/fidelity/rules.smk"
include: "studies/measure_tests/rules.smk"


# Where jobs go to a scheduler, these stay with Snakemake: they take a second.
localrules:
    all,
    collect_accuracy,
    collect_probes,
    collect_cost,
    record_provenance,


onstart:
    for note in EXPERIMENT.notes():
        print(note, file=sys.stderr)
    # Snakemake's limit of 100 job starts a second looks at all ready jobs anew once a second, and once more a second after each
    # finished job: after a few hundred jobs its main process fills a core. Local jobs need no such limit.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


rule all:
    default_target: True
    input:
        TABLES,
        SIMILARITY_TABLES,
        FUNCTIONAL_TABLES,
        report_targets(),
        "<results>/provenance.json",
        ["<results>/retention.csv"] if config["retention"] == "keep_best" else [],
