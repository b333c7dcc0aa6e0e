# Clips of every data set and split: rendered, linked from files of the user's own, or decoded from videos.


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
        dataset=any_of(rendered_sets()),
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
        dataset=any_of(sets_of_kind("clips")),
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


rule ingest_videos:
    output:
        **{split: f"<results>/datasets/{{dataset}}/{split}.h5" for split in SPLITS},
        files="<results>/datasets/{dataset}/files.csv",
    log:
        "<logs>/datasets/{dataset}.log",
    benchmark:
        "<benchmarks>/datasets/{dataset}.tsv"
    wildcard_constraints:
        dataset=any_of(sets_of_kind("videos")),
    conda:
        "../../envs/vidrep.yaml"
    threads: 8
    resources:
        mem_mb=growing(8000),
        runtime=growing(600),
    params:
        definition=lambda wc: json.dumps(SETS[wc.dataset].definition()),
        state=lambda wc: files_state(SETS[wc.dataset].recipe["source"]),
        seed=config["seed"],
        code=code("ingest_videos"),
    message:
        "Decoding the videos of {wildcards.dataset}"
    shell:
        "python $VIDREP_SCRIPTS/ingest_videos.py --definition {params.definition:q} --seed {params.seed} --workers {threads}"
        " --train {output.train} --validation {output.validation} --test {output.test} --table {output.files} > {log} 2>&1"
