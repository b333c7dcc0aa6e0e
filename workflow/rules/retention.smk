# What is kept of large intermediate files; see the configuration's key retention. Last, when nothing more needs them.


rule keep_best:
    input:
        results=[TABLES, SIMILARITY_TABLES, report_targets()],
        records=[
            f"<results>/runs/{run.dataset}/{run.system}/seed{run.seed}/run.json"
            for run in EXPERIMENT.trained_runs()
        ],
    output:
        removed="<results>/retention.csv",
    log:
        "<logs>/retention.log",
    benchmark:
        "<benchmarks>/retention.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        folder=subpath(output.removed, parent=True),
        code=code("keep_best"),
    message:
        "Removing activations and kernels of all but the best runs"
    shell:
        piped("keep_best", records="input.records") + "--results {params.folder}"
        " --output {output.removed} > {log} 2>&1"
