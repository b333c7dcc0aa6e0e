# Clips of every data set and split: rendered, or linked from files of the user's own.

from vidrep.datasets.declared import KINDS, data_sets

SETS = EXPERIMENT.sets


def sets_of_kinds(rendered):
    """The data sets whose clips are rendered, or those whose files are the user's."""
    return [name for name, chosen in SETS.items() if bool(KINDS[chosen.kind].renderer) == rendered]


def digits_of(wildcards):
    """The digits that a data set shows, as large as it shows them; none where it shows no digits."""
    chosen = SETS[wildcards.dataset]
    return digits_file(chosen.recipe["patch"]) if KINDS[chosen.kind].uses_digits else []


def render_code(wildcards):
    """Digest of the script and of the renderer of the data set's kind."""
    renderer = KINDS[SETS[wildcards.dataset].kind].renderer
    return code_version(script("render_dataset"), source_file(renderer, {}, "renderer"))


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
