# Linear probes: all layers where a run is opened up on its own data set, the embedding elsewhere.


rule probe:
    input:
        store="<results>/activations/{evaluated}/{dataset}--{system}--seed{seed}.zarr",
        test="<results>/datasets/{evaluated}/test.h5",
        fit="<results>/datasets/{evaluated}/train.h5",
    output:
        probes="<results>/probes/{evaluated}/{dataset}--{system}--seed{seed}.csv",
        confusion="<results>/probes/{evaluated}/{dataset}--{system}--seed{seed}.confusion.csv",
    log:
        "<logs>/probes/{evaluated}/{dataset}--{system}--seed{seed}.log",
    benchmark:
        "<benchmarks>/probes/{evaluated}/{dataset}--{system}--seed{seed}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=lambda wc, attempt: 120 * attempt,
    params:
        script=script("probe"),
        layers=lambda wc: "all" if wc.dataset == wc.evaluated else "last",
        c=config["probes"]["c"],
        folds=config["probes"]["folds"],
        components=option("components", [config["probes"]["components"]] if config["probes"]["components"] else []),
        code=code("probe"),
    message:
        "Probes of {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed}) on {wildcards.evaluated}"
    shell:
        "python {params.script} --store {input.store} --test {input.test} --fit {input.fit} --layers {params.layers}"
        " --c {params.c} --folds {params.folds} {params.components} --probes {output.probes} --confusion {output.confusion}"
        " > {log} 2>&1"
