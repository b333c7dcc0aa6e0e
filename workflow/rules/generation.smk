# Frames drawn by the runs whose objective draws some, trained or not: pictures of a few clips, scores of all. With transfer, one job
# scores a trained run on all data sets that it is opened up on.


rule generate:
    input:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
        test=lambda wc: on_sets("<results>/datasets/<set>/test.h5", drawn_sets(wc)),
        train=lambda wc: on_sets("<results>/datasets/<set>/train.h5", drawn_sets(wc)),
        test_flow=lambda wc: flow_of_sets(drawn_sets(wc), "test")(wc),
        test_flow_backward=lambda wc: flow_of_sets(drawn_sets(wc), "test", "flow_backward")(wc),
        true_flow=["<results>/flow/{dataset}/test/true.zarr"],
    output:
        drawn="<results>/generation/{dataset}/{system}/seed{seed}.h5",
        scores="<results>/generation/{dataset}/{system}/seed{seed}.csv",
        verdict="<results>/generation/{dataset}/{system}/seed{seed}.verdict.csv",
    log:
        "<logs>/generation/{dataset}/{system}/seed{seed}.log",
    benchmark:
        "<benchmarks>/generation/{dataset}/{system}/seed{seed}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=growing(
            lambda wc: 3000 + 2 * clip_mb(config["clips"]["test"], wc.dataset, wc.system)
        ),
        runtime=growing(60),
    params:
        folder=subpath(input.record, parent=True),
        flow=flow_options,
        clips=config["generation"]["clips"],
        train_clips=config["clips"]["train"],
        code=lambda wc: system_code("generate", wc.system),
    message:
        "Frames drawn by {wildcards.system} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python $VIDREP_SCRIPTS/generate.py --run {params.folder} --test {input.test} --train {input.train} {params.flow}"
        " --count {params.clips} --train-clips {params.train_clips} --gpus {resources.gpu} --threads {threads}"
        " --drawn {output.drawn} --scores {output.scores} --verdict {output.verdict} > {log} 2>&1"


rule score_baselines:
    input:
        train="<results>/datasets/{evaluated}/train.h5",
        test="<results>/datasets/{evaluated}/test.h5",
        runs=lambda wc: drawn_files(".csv", wc.evaluated),
    output:
        table="<results>/generation/{evaluated}/baselines.csv",
    log:
        "<logs>/generation/{evaluated}/baselines.log",
    benchmark:
        "<benchmarks>/generation/{evaluated}/baselines.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        mem_mb=growing(lambda wc: 3000 + 2 * clip_mb(config["clips"]["test"], wc.evaluated)),
        runtime=growing(60),
    params:
        code=code("score_baselines"),
    message:
        "Trivial predictors on {wildcards.evaluated}"
    shell:
        "printf '%s\\n' --runs {input.runs} | python $VIDREP_SCRIPTS/score_baselines.py @/dev/stdin --train {input.train} --test {input.test}"
        " --threads {threads} --output {output.table} > {log} 2>&1"
