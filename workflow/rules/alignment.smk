# Alignment of sequences, whose videos follow one script, by the embeddings of frames: every run evaluated on them, and baselines.

from vidrep.alignment import BASELINES as ALIGNMENT_BASELINES

ALIGN = config["alignment"]


BASELINE_RUNS = [
    (evaluated, Run(evaluated, name, UNTRAINED))
    for evaluated in EXPERIMENT.sequences()
    for name in ALIGNMENT_BASELINES
]


rule align:
    input:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
        train=split_input("train", ["{evaluated}"]),
        test=split_input("test", ["{evaluated}"]),
    output:
        scores=f"<results>/alignment/{{evaluated}}/{RUN}.csv",
        matches=f"<results>/alignment/{{evaluated}}/{RUN}.h5",
    log:
        f"<logs>/alignment/{{evaluated}}/{RUN}.log",
    benchmark:
        f"<benchmarks>/alignment/{{evaluated}}/{RUN}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        source=lambda wc, input: f"--run {Path(input.record).parent}",
        train=partial(split_values, split="train"),
        test=partial(split_values, split="test"),
        counts=f"--train-count {ALIGN['train']} --test-count {ALIGN['test']}",
        few_shot=f"{option('few-shot', ALIGN['few_shot'])} --episodes {ALIGN['episodes']}",
        seed=config["seed"],
        code=lambda wc: system_code("align", wc.system),
    message:
        "Aligning {wildcards.evaluated} by {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed})"
    shell:
        "python $VIDREP_SCRIPTS/align.py {params.source} --train {params.train} --test {params.test} {params.counts}"
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
        baseline=any_of(ALIGNMENT_BASELINES),
    resources:
        gpu=0,
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        source="--baseline {baseline}",
        train=lambda wc, input: input.train,
        test=lambda wc, input: input.test,
        code=code("align"),
    message:
        "Aligning {wildcards.evaluated} by {wildcards.baseline}"
