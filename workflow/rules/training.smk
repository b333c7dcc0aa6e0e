# One job a run; seed "untrained" is the untrained twin. Runs with pretrained weights have the file among their inputs.


rule pretrain_digits:
    input:
        digits="<results>/digits/digits.npz",
    output:
        weights=f"<results>/pretrained/{STILL_DIGITS}.pt",
        record=f"<results>/pretrained/{STILL_DIGITS}.json",
    log:
        f"<logs>/training/{STILL_DIGITS}.log",
    benchmark:
        f"<benchmarks>/training/{STILL_DIGITS}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        canvas=config["video"]["size_px"],
        seed=config["seed"],
        code=code("pretrain_digits"),
    message:
        "Training a CNN on still digits"
    shell:
        "python $VIDREP_SCRIPTS/pretrain_digits.py --digits {input.digits} --canvas {params.canvas} --seed {params.seed} --threads {threads}"
        " --weights {output.weights} --record {output.record} > {log} 2>&1"


rule train:
    input:
        train="<results>/datasets/{dataset}/train.h5",
        validation="<results>/datasets/{dataset}/validation.h5",
        train_flow=lambda wc: flow_of(wc.system, wc.dataset, "train"),
        validation_flow=lambda wc: flow_of(wc.system, wc.dataset, "validation"),
        train_flow_backward=lambda wc: flow_of(wc.system, wc.dataset, "train", "flow_backward"),
        validation_flow_backward=lambda wc: flow_of(wc.system, wc.dataset, "validation", "flow_backward"),
        pretrained=pretrained_of,
    output:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        history="<results>/runs/{dataset}/{system}/seed{seed}/history.csv",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
    log:
        "<logs>/training/{dataset}/{system}/seed{seed}.log",
    benchmark:
        "<benchmarks>/training/{dataset}/{system}/seed{seed}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=lambda wc: 0 if wc.seed == "untrained" else gpus(wc),
        mem_mb=growing(lambda wc: 3000 + 3 * clip_mb(config["clips"]["train"], wc.dataset, wc.system)),
        runtime=growing(240),
    params:
        system=run_definition,
        flow=flow_options,
        pretrained=lambda wc, input: option("weights", input.pretrained),
        experiment_seed=config["seed"],
        precision=config["training"]["precision"],
        code=lambda wc: system_code("train", wc.system),
        folder=subpath(output.record, parent=True),
    message:
        "Training {wildcards.system} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python $VIDREP_SCRIPTS/train.py --system {params.system:q} --dataset {wildcards.dataset} --train {input.train}"
        " --validation {input.validation} {params.flow} {params.pretrained} --experiment-seed {params.experiment_seed} --seed {wildcards.seed}"
        " --gpus {resources.gpu} --threads {threads} --precision {params.precision} --code {params.code}"
        " --output {params.folder} 2>&1 | tee {log}"
