# What the runs of an evaluation set answer, compared: one light job a set.


rule functional_similarity:
    input:
        stores=lambda wc: [
            f"<results>/activations/{wc.evaluated}/{run.stem}.zarr"
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
        mem_mb=lambda wc, attempt: 3000 * attempt,
        runtime=lambda wc, attempt: 60 * attempt,
    params:
        seed=config["seed"],
        code=code("functional_similarity"),
    message:
        "Answers of all runs on {wildcards.evaluated} compared"
    shell:
        "printf '%s\\n' --stores {input.stores} --weights {input.weights} | python $VIDREP_SCRIPTS/functional_similarity.py @/dev/stdin"
        " --test {input.test} --seed {params.seed} --output {output.table} > {log} 2>&1"
