# Clips of every data set and split.


rule render_dataset:
    input:
        digits="<results>/digits/digits.npz",
    output:
        clips="<results>/datasets/{dataset}/{split}.h5",
    log:
        "<logs>/datasets/{dataset}/{split}.log",
    benchmark:
        "<benchmarks>/datasets/{dataset}/{split}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wc: 1000 + 3 * clip_mb(config["clips"][wc.split], wc.dataset)),
        runtime=growing(30),
    params:
        clips=lambda wc: config["clips"][wc.split],
        video=video_options,
        seed=config["seed"],
        code=code("render_dataset"),
    message:
        "Rendering {wildcards.dataset}, {wildcards.split}"
    shell:
        "python $VIDREP_SCRIPTS/render_dataset.py --dataset {wildcards.dataset} --split {wildcards.split} --count {params.clips} {params.video}"
        " --seed {params.seed} --digits {input.digits} --output {output.clips} > {log} 2>&1"
