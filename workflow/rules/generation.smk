# Frames drawn by the systems whose objective draws some.


rule generate:
    input:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
        test="<results>/datasets/{dataset}/test.h5",
        test_flow=lambda wc: flow_of(wc.system, wc.dataset, "test"),
        test_flow_backward=lambda wc: flow_of(wc.system, wc.dataset, "test", "flow_backward"),
    output:
        drawn="<results>/generation/{dataset}/{system}/seed{seed}.h5",
    log:
        "<logs>/generation/{dataset}/{system}/seed{seed}.log",
    benchmark:
        "<benchmarks>/generation/{dataset}/{system}/seed{seed}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=0,
        mem_mb=3000,
        runtime=10,
    params:
        folder=subpath(input.record, parent=True),
        flow=flow_options,
        clips=config["generation"]["clips"],
        code=lambda wc: system_code("generate", wc.system),
    message:
        "Frames drawn by {wildcards.system} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python $VIDREP_SCRIPTS/generate.py --run {params.folder} --test {input.test} {params.flow} --count {params.clips}"
        " --gpus {resources.gpu} --threads {threads} --output {output.drawn} > {log} 2>&1"
