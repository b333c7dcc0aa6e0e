# Clips of every data set and split: rendered, or linked from files of the user's own.


rule render_dataset:
    input:
        digits=digits_of,
    output:
        clips="<results>/datasets/{dataset}/{split}.h5",
    log:
        "<logs>/datasets/{dataset}/{split}.log",
    benchmark:
        "<benchmarks>/datasets/{dataset}/{split}.tsv"
    wildcard_constraints:
        dataset=any_of(sets_of_kinds(rendered=True)),
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(lambda wc: 1000 + 3 * SETS[wc.dataset].megabytes(wc.split)),
        runtime=growing(30),
    params:
        definition=lambda wc: json.dumps(SETS[wc.dataset].definition()),
        clips=lambda wc: SETS[wc.dataset].clips[wc.split],
        digits=lambda wc, input: f"--digits {input.digits}" if input.digits else "",
        seed=config["seed"],
        code=render_code,
    message:
        "Rendering {wildcards.dataset}, {wildcards.split}"
    shell:
        "python $VIDREP_SCRIPTS/render_dataset.py --definition {params.definition:q} --split {wildcards.split} --count {params.clips}"
        " --seed {params.seed} {params.digits} --output {output.clips} > {log} 2>&1"


rule link_clips:
    input:
        file=lambda wc: SETS[wc.dataset].recipe["files"][wc.split],
    output:
        clips="<results>/datasets/{dataset}/{split}.h5",
    log:
        "<logs>/datasets/{dataset}/{split}.log",
    benchmark:
        "<benchmarks>/datasets/{dataset}/{split}.tsv"
    wildcard_constraints:
        dataset=any_of(sets_of_kinds(rendered=False)),
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        code=code("link_clips"),
    message:
        "Checking and linking {wildcards.dataset}, {wildcards.split}"
    shell:
        "python $VIDREP_SCRIPTS/link_clips.py --file {input.file:q} --dataset {wildcards.dataset} --split {wildcards.split}"
        " --output {output.clips} > {log} 2>&1"
