# What the sources of the systems claim, judged by the runs of this experiment. A target of its own: not part of the report.


rule fidelity:
    input:
        tables=[
            "<results>/tables/accuracy.csv",
            "<results>/tables/cost.csv",
            *detection_table(),
            *alignment_table(),
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
        code=lambda wc: code_version(
            script("fidelity"), *sorted((ROOT / "studies" / "fidelity").glob("*.py"))
        ),
    message:
        "Judging the sources' claims"
    shell:
        "python $VIDREP_SCRIPTS/fidelity.py --results {params.folder} --config {params.config:q} --table {output.table} --page {output.page}"
        " 2>&1 | tee {log}"
