# vidrep: digits -> datasets -> flow -> training -> activations -> similarity, functional, probes, transfer, detection, generation, alignment -> report
#
# Each stage has its rules in workflow/rules/<stage>.smk, a script per rule in scripts/ and a room in vidrep/.

from snakemake.utils import min_version

min_version("9.19")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/digits.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/flow.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/activations.smk"
include: "workflow/rules/similarity.smk"
include: "workflow/rules/functional.smk"
include: "workflow/rules/probes.smk"
include: "workflow/rules/detection.smk"
include: "workflow/rules/generation.smk"
include: "workflow/rules/alignment.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/fidelity.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        tables(),
        similarity_tables(),
        functional_tables(),
        report_targets(),
        "<results>/provenance.json",
