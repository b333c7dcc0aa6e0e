# One job a run, and one job for all untrained twins of a system (seed "untrained"), which take less than starting Python.
# Runs with pretrained weights have the file among their inputs.


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
        validation_flow_backward=lambda wc: flow_of(
            wc.system, wc.dataset, "validation", "flow_backward"
        ),
        pretrained=pretrained_of,
    output:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        history="<results>/runs/{dataset}/{system}/seed{seed}/history.csv",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
    log:
        "<logs>/training/{dataset}/{system}/seed{seed}.log",
    benchmark:
        "<benchmarks>/training/{dataset}/{system}/seed{seed}.tsv"
    wildcard_constraints:
        seed=r"\d+",
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=growing(
            lambda wc: 3000 + 3 * clip_mb(config["clips"]["train"], wc.dataset, wc.system)
        ),
        runtime=growing(240),
    params:
        system=run_definition,
        flow=flow_options,
        pretrained=lambda wc, input: option("weights", input.pretrained),
        experiment_seed=config["seed"],
        precision=config["training"]["precision"],
        snapshots=option("snapshots", config["training"]["snapshots"]),
        code=lambda wc: system_code("train", wc.system),
        folder=subpath(output.record, parent=True),
    message:
        "Training {wildcards.system} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python $VIDREP_SCRIPTS/train.py --system {params.system:q} --datasets {wildcards.dataset} --train {input.train}"
        " --validation {input.validation} {params.flow} {params.pretrained} --experiment-seed {params.experiment_seed} --seed {wildcards.seed}"
        " --gpus {resources.gpu} --threads {threads} --precision {params.precision} {params.snapshots} --code {params.code}"
        " --outputs {params.folder} 2>&1 | tee {log}"


for NUMBER, (MADE_FOR, NAMES) in enumerate(EXPERIMENT.twins_together().items()):

    rule:
        name:
            f"train_twins_{NUMBER}"
        input:
            train=on_sets("<results>/datasets/<set>/train.h5", MADE_FOR),
            validation=on_sets("<results>/datasets/<set>/validation.h5", MADE_FOR),
            train_flow=flow_of_sets(MADE_FOR, "train"),
            validation_flow=flow_of_sets(MADE_FOR, "validation"),
            train_flow_backward=flow_of_sets(MADE_FOR, "train", "flow_backward"),
            validation_flow_backward=flow_of_sets(MADE_FOR, "validation", "flow_backward"),
        output:
            weights=on_sets("<results>/runs/<set>/{system}/seeduntrained/weights.pt", MADE_FOR),
            history=on_sets("<results>/runs/<set>/{system}/seeduntrained/history.csv", MADE_FOR),
            record=on_sets("<results>/runs/<set>/{system}/seeduntrained/run.json", MADE_FOR),
        log:
            "<logs>/training/twins/{system}.log",
        benchmark:
            "<benchmarks>/training/twins/{system}.tsv"
        wildcard_constraints:
            system="|".join(NAMES),
        conda:
            "../../envs/vidrep.yaml"
        threads: config["training"]["threads"]
        resources:
            mem_mb=growing(
                lambda wc, sets=MADE_FOR: 3000 + 3 * largest_mb("train", sets, wc.system)
            ),
            runtime=growing(60),
        params:
            system=run_definition,
            datasets=MADE_FOR,
            flow=flow_options,
            experiment_seed=config["seed"],
            precision=config["training"]["precision"],
            code=lambda wc: system_code("train", wc.system),
            folders=lambda wc, output: [Path(file).parent for file in output.record],
        message:
            "Untrained twins of {wildcards.system}"
        shell:
            "python $VIDREP_SCRIPTS/train.py --system {params.system:q} --datasets {params.datasets} --train {input.train}"
            " --validation {input.validation} {params.flow} --experiment-seed {params.experiment_seed} --seed untrained"
            " --gpus 0 --threads {threads} --precision {params.precision} --code {params.code}"
            " --outputs {params.folders} > {log} 2>&1"
