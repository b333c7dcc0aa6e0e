# Do the measures behave on the runs of this experiment? snakemake sanity.
# A target of its own, for experiments with several seeds of several systems.

STUDY = ROOT / "studies" / "measure_tests"


rule sanity:
    input:
        stores=[
            f"<results>/activations/{run.dataset}/{run.stem}{STORE_SUFFIX}"
            for run in EXPERIMENT.trained_runs()
        ],
        runs=[
            f"<results>/runs/{run.dataset}/{run.system}/seed{run.seed}/run.json"
            for run in EXPERIMENT.trained_runs()
        ],
        train=collect("<results>/datasets/{dataset}/train.h5", dataset=EXPERIMENT.datasets),
        test=[split_files(system.name, [dataset], "test") for dataset, system in EXPERIMENT.pairs()],
    output:
        table="<results>/tables/measure_tests.csv",
        page="<results>/measure_tests.md",
    log:
        "<logs>/sanity.log",
    benchmark:
        "<benchmarks>/sanity.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        config=CONFIG,
        folder=subpath(output.page, parent=True),
        code=lambda wc: code_version(
            STUDY / "__main__.py", *map(measures.source_file, measures.names())
        ),
    message:
        "Putting the measures to the test"
    shell:
        "python -m studies.measure_tests --results {params.folder} --config {params.config:q}"
        " --table {output.table} --page {output.page} 2>&1 | tee {log}"
