# Do the measures behave on the runs of this experiment? A target of its own, for experiments with several seeds of several systems.


rule sanity:
    input:
        stores=[
            f"<results>/activations/{run.dataset}/{run.stem}.zarr"
            for run in EXPERIMENT.trained_runs()
        ],
        runs=[
            f"<results>/runs/{run.dataset}/{run.system}/seed{run.seed}/run.json"
            for run in EXPERIMENT.trained_runs()
        ],
        clips=collect(
            "<results>/datasets/{dataset}/{split}.h5",
            dataset=EXPERIMENT.datasets,
            split=["train", "test"],
        ),
        flow=[
            flow_of(system.name, dataset, "test", name)
            for dataset, system in EXPERIMENT.pairs()
            for name in ("flow", "flow_backward")
        ],
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
        mem_mb=4000,
        runtime=120,
    params:
        config=json.dumps(config, sort_keys=True),
        folder=subpath(output.page, parent=True),
        code=code("sanity"),
    message:
        "Putting the measures to the test"
    shell:
        "python $VIDREP_SCRIPTS/sanity.py --results {params.folder} --config {params.config:q} --table {output.table} --page {output.page}"
        " 2>&1 | tee {log}"
