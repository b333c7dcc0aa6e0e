# Exact and estimated optical flow, and how far the estimators are from the truth.

ESTIMATORS = config["flow"]["estimators"]


rule compute_flow:
    input:
        clips="<results>/datasets/{dataset}/{split}.h5",
    output:
        flow=passing(directory("<results>/flow/{dataset}/{split}/{method}.zarr")),
    log:
        "<logs>/flow/{dataset}/{split}/{method}.log",
    benchmark:
        "<benchmarks>/flow/{dataset}/{split}/{method}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(flow_mb),
        runtime=growing(240),
    params:
        code=code("compute_flow"),
    message:
        "Flow of {wildcards.dataset}, {wildcards.split}: {wildcards.method}"
    shell:
        "python $VIDREP_SCRIPTS/compute_flow.py --clips {input.clips} --method {wildcards.method} --output {output.flow} > {log} 2>&1"


rule flow_error:
    input:
        truth=collect(
            "<results>/flow/{dataset}/test/true.zarr", dataset=EXPERIMENT.flow_scored_on()
        ),
        estimate=[
            f"<results>/flow/{dataset}/test/{method}.zarr"
            for method in ESTIMATORS
            for dataset in EXPERIMENT.flow_scored_on()
        ],
    output:
        table="<results>/tables/flow_error.csv",
    log:
        "<logs>/flow/flow_error.log",
    benchmark:
        "<benchmarks>/flow/flow_error.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        truth=lambda wc, input: list(input.truth) * len(ESTIMATORS),
        code=code("flow_error"),
    message:
        "End-point error of the flow estimators"
    shell:
        piped("flow_error", truth="params.truth", estimate="input.estimate")
        + "--output {output.table} > {log} 2>&1"
