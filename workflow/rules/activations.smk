# Open up every run on every evaluation set, and score it there: the same pass over the clips serves both.


def pooling_option():
    policy = config["activations"]["pooling"]
    return policy if isinstance(policy, str) else " ".join(map(str, policy))


rule extract:
    input:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
        test="<results>/datasets/{evaluated}/test.h5",
        fit="<results>/datasets/{evaluated}/train.h5",
        test_flow=lambda wc: flow_of(wc.system, wc.evaluated, "test"),
        fit_flow=lambda wc: flow_of(wc.system, wc.evaluated, "train"),
    output:
        store=directory("<results>/activations/{evaluated}/{dataset}--{system}--seed{seed}.zarr"),
        scores="<results>/transfer/{evaluated}/{dataset}--{system}--seed{seed}.csv",
    log:
        "<logs>/activations/{evaluated}/{dataset}--{system}--seed{seed}.log",
    benchmark:
        "<benchmarks>/activations/{evaluated}/{dataset}--{system}--seed{seed}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=lambda wc, attempt: attempt * (3000 + 2 * clip_mb(config["clips"]["test"], wc.system)),
        runtime=lambda wc, attempt: attempt * 30,
    params:
        script=script("extract"),
        folder=subpath(input.record, parent=True),
        flow=lambda wc, input: option("test-flow", input.test_flow) + " " + option("fit-flow", input.fit_flow),
        rows=config["activations"]["clips"],
        fit_rows=config["activations"]["fit_clips"],
        pooling=pooling_option(),
        dtype=config["activations"]["dtype"],
        code=lambda wc: system_code("extract", wc.system),
    message:
        "Activations of {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed}) on {wildcards.evaluated}"
    shell:
        "python {params.script} --run {params.folder} --dataset {wildcards.evaluated} --test {input.test} --fit {input.fit}"
        " {params.flow} --rows {params.rows} --fit-rows {params.fit_rows} --pooling {params.pooling} --dtype {params.dtype}"
        " --gpus {resources.gpu} --threads {threads} --store {output.store} --scores {output.scores} > {log} 2>&1"
