# What the runs of an evaluation set answer, compared: one light job a set.


FUNCTIONAL_TABLES = collect(
    "<results>/functional_similarity/{evaluated}.csv", evaluated=EXPERIMENT.datasets
)


rule functional_similarity:
    input:
        stores=lambda wc: [
            f"<results>/activations/{wc.evaluated}/{run.stem}{STORE_SUFFIX}"
            for run in EXPERIMENT.evaluated_on(wc.evaluated)
        ],
        weights=lambda wc: [
            f"<results>/runs/{run.dataset}/{run.system}/seed{run.seed}/weights.pt"
            for run in EXPERIMENT.evaluated_on(wc.evaluated)
        ],
        test="<results>/datasets/{evaluated}/test.h5",
    output:
        table="<results>/functional_similarity/{evaluated}.csv",
    log:
        "<logs>/functional_similarity/{evaluated}.log",
    benchmark:
        "<benchmarks>/functional_similarity/{evaluated}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        seed=config["seed"],
        code=code("functional_similarity"),
    message:
        "Answers of all runs on {wildcards.evaluated} compared"
    shell:
        piped("functional_similarity", stores="input.stores", weights="input.weights")
        + "--test {input.test} --seed {params.seed} --output {output.table} > {log} 2>&1"
