# What the sources of the systems claim, judged by the runs of this experiment: snakemake fidelity.
# A target of its own: not part of the report.

from studies.fidelity import chosen_sources

FIDELITY = ROOT / "studies" / "fidelity"
CLAIM_SOURCES = or_exit(
    chosen_sources, config["fidelity"]["sources"], "config key fidelity.sources: "
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
        scores=[f"<results>/clip_scores/{run.dataset}/{run.stem}.npz" for run in EXPERIMENT.runs()],
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
        config=CONFIG,
        folder=subpath(output.page, parent=True),
        code=lambda wc: code_version(
            FIDELITY / "__main__.py", *(FIDELITY / f"{source}.py" for source in CLAIM_SOURCES)
        ),
    message:
        "Judging the sources' claims"
    shell:
        "python -m studies.fidelity --results {params.folder} --config {params.config:q}"
        " --table {output.table} --page {output.page} 2>&1 | tee {log}"
