# Temporal activity detection in untrimmed videos: a frozen run turns clips into features, an LSTM labels them. Off unless
# detection.systems names some.

VIDEOS = config["detection"]["videos"]
LABELLER = config["detection"]["labeller"]


rule render_untrimmed:
    input:
        digits=digits_of,
    output:
        videos="<results>/datasets/{dataset}_untrimmed/{split}.h5",
    log:
        "<logs>/datasets/{dataset}_untrimmed/{split}.log",
    benchmark:
        "<benchmarks>/datasets/{dataset}_untrimmed/{split}.tsv"
    wildcard_constraints:
        split=any_of(EXPERIMENT.detection_splits()),
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wc: 1500 + 4 * EXPERIMENT.untrimmed_mb(wc.dataset, wc.split)),
        runtime=growing(60),
    params:
        definition=lambda wc: json.dumps(SETS[wc.dataset].definition()),
        videos=lambda wc: VIDEOS[wc.split],
        frames=VIDEOS["frames"],
        piece=VIDEOS["piece"],
        background_step=VIDEOS["background_step"],
        fps=VIDEOS["fps"],
        seed=config["seed"],
        code=code("render_untrimmed"),
    message:
        "Rendering untrimmed videos of {wildcards.dataset}, {wildcards.split}"
    shell:
        "python $VIDREP_SCRIPTS/render_untrimmed.py --definition {params.definition:q} --split {wildcards.split} --count {params.videos}"
        " --frames {params.frames} --piece {params.piece} --background-step {params.background_step} --fps {params.fps}"
        " --seed {params.seed} --digits {input.digits} --output {output.videos} > {log} 2>&1"


rule clip_features:
    input:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
        videos=[
            f"<results>/datasets/{{dataset}}_untrimmed/{split}.h5"
            for split in EXPERIMENT.detection_splits()
        ],
    output:
        features=f"<results>/detection/{RUN}.features.h5",
    log:
        f"<logs>/detection/{RUN}.features.log",
    benchmark:
        f"<benchmarks>/detection/{RUN}.features.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        folder=subpath(input.record, parent=True),
        code=lambda wc: system_code("clip_features", wc.system),
    message:
        "Clip features of untrimmed videos by {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed})"
    shell:
        piped("clip_features", videos="input.videos")
        + "--run {params.folder} --gpus {resources.gpu} --threads {threads}"
        " --output {output.features} > {log} 2>&1"


rule detect:
    input:
        features=f"<results>/detection/{RUN}.features.h5",
    output:
        probabilities=f"<results>/detection/{RUN}.npz",
        detections=f"<results>/detection/{RUN}.json",
        scores=f"<results>/detection/{RUN}.csv",
    log:
        f"<logs>/detection/{RUN}.log",
    benchmark:
        f"<benchmarks>/detection/{RUN}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        units=LABELLER["units"],
        layers=LABELLER["layers"],
        dropout=LABELLER["dropout"],
        background_weight=LABELLER["background_weight"],
        lr=LABELLER["lr"],
        epochs=LABELLER["epochs"],
        batch=LABELLER["batch"],
        k=config["detection"]["smoothing"],
        alpha=config["detection"]["alpha"],
        try_k=config["detection"]["try_smoothing"],
        try_alpha=config["detection"]["try_alpha"],
        seed=config["seed"],
        code=code("detect"),
    message:
        "Detecting activities with {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed})"
    shell:
        "python $VIDREP_SCRIPTS/detect.py --features {input.features} --k {params.k} --alpha {params.alpha}"
        " --units {params.units} --layers {params.layers} --dropout {params.dropout} --background-weight {params.background_weight}"
        " --lr {params.lr} --epochs {params.epochs} --batch {params.batch}"
        " --try-k {params.try_k} --try-alpha {params.try_alpha} --seed {params.seed} --gpus {resources.gpu} --threads {threads}"
        " --probabilities {output.probabilities} --detections {output.detections} --scores {output.scores} > {log} 2>&1"
