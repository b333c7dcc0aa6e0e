# Alignment of sequences, whose videos follow one script, by the embeddings of frames: every run opened up on them, and baselines.

ALIGN = config["alignment"]


rule align:
    input:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
        train="<results>/datasets/{evaluated}/train.h5",
        test="<results>/datasets/{evaluated}/test.h5",
        train_flow=lambda wc: flow_of(wc.system, wc.evaluated, "train"),
        test_flow=lambda wc: flow_of(wc.system, wc.evaluated, "test"),
        train_flow_backward=lambda wc: flow_of(wc.system, wc.evaluated, "train", "flow_backward"),
        test_flow_backward=lambda wc: flow_of(wc.system, wc.evaluated, "test", "flow_backward"),
    output:
        scores=f"<results>/alignment/{{evaluated}}/{NAME}.csv",
        matches=f"<results>/alignment/{{evaluated}}/{NAME}.h5",
    log:
        f"<logs>/alignment/{{evaluated}}/{NAME}.log",
    benchmark:
        f"<benchmarks>/alignment/{{evaluated}}/{NAME}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        source=lambda wc, input: f"--run {Path(input.record).parent}",
        flow=flow_options,
        counts=f"--train-count {ALIGN['train']} --test-count {ALIGN['test']}",
        few_shot=f"{option('few-shot', ALIGN['few_shot'])} --episodes {ALIGN['episodes']}",
        seed=config["seed"],
        code=lambda wc: system_code("align", wc.system),
    message:
        "Aligning {wildcards.evaluated} by {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed})"
    shell:
        "python $VIDREP_SCRIPTS/align.py {params.source} --train {input.train} --test {input.test} {params.flow} {params.counts}"
        " {params.few_shot} --seed {params.seed} --gpus {resources.gpu} --threads {threads} --scores {output.scores}"
        " --matches {output.matches} > {log} 2>&1"


use rule align as align_baseline with:
    input:
        train="<results>/datasets/{evaluated}/train.h5",
        test="<results>/datasets/{evaluated}/test.h5",
    output:
        scores=f"<results>/alignment/{{evaluated}}/{{evaluated}}--{{baseline}}--seed{UNTRAINED}.csv",
        matches=f"<results>/alignment/{{evaluated}}/{{evaluated}}--{{baseline}}--seed{UNTRAINED}.h5",
    log:
        "<logs>/alignment/{evaluated}/{baseline}.log",
    benchmark:
        "<benchmarks>/alignment/{evaluated}/{baseline}.tsv"
    wildcard_constraints:
        baseline="|".join(ALIGN_BASELINES),
    resources:
        gpu=0,
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        source="--baseline {baseline}",
        flow="",
        code=code("align"),
    message:
        "Aligning {wildcards.evaluated} by {wildcards.baseline}"


rule collect_alignment:
    input:
        parts=alignment_parts(),
    output:
        table="<results>/tables/alignment.csv",
    log:
        "<logs>/tables/alignment.log",
    benchmark:
        "<benchmarks>/tables/alignment.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("collect_parts"),
    message:
        "Alignment scores of all runs"
    shell:
        "printf '%s\\n' --parts {input.parts} | python $VIDREP_SCRIPTS/collect_parts.py @/dev/stdin --output {output.table} > {log} 2>&1"
