# What the sources of the systems claim, judged by the runs of this experiment: snakemake fidelity.
# A target of its own: not part of the report.

from studies.fidelity import chosen_sources


def claim_sources():
    """The sources whose claims are judged, or one clear line and exit status 1."""
    try:
        return chosen_sources(config["fidelity"]["sources"])
    except ValueError as error:
        sys.exit(f"error: config key fidelity.sources: {error}")


CLAIM_SOURCES = claim_sources()


def fidelity_code(wildcards):
    """Digest of the study and of the modules with the claims that are judged."""
    folder = ROOT / "studies" / "fidelity"
    return code_version(
        folder / "__main__.py", *(folder / f"{source}.py" for source in CLAIM_SOURCES)
    )


rule fidelity:
    input:
        tables=[
            f"<results>/tables/{name}.csv"
            for name in ("accuracy", "cost", "detection", "alignment")
            if name in EXPERIMENT.tables()
        ],
        runs=[
            f"<results>/runs/{run.dataset}/{run.system}/seed{run.seed}/run.json"
            for run in EXPERIMENT.runs()
        ],
        clips=collect("<results>/datasets/{dataset}/test.h5", dataset=EXPERIMENT.datasets),
    output:
        table="<results>/tables/fidelity.csv",
        page="<results>/fidelity.md",
    log:
        "<logs>/fidelity.log",
    benchmark:
        "<benchmarks>/fidelity.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        config=json.dumps(config, sort_keys=True),
        folder=subpath(output.page, parent=True),
        code=fidelity_code,
    message:
        "Judging the sources' claims"
    shell:
        "python -m studies.fidelity --results {params.folder} --config {params.config:q}"
        " --table {output.table} --page {output.page} 2>&1 | tee {log}"
