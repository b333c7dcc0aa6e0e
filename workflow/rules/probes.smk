# Linear probes: all layers of a run on its own data set, its embedding elsewhere; one job a run, as they were extracted.


for JOBS in EXTRACTIONS:

    rule:
        name:
            JOBS.rule("probe")
        input:
            stores=JOBS.files("activations", STORE_SUFFIX),
        output:
            counts=JOBS.files("probes", ".csv"),
        log:
            f"<logs>/probes/{JOBS.job}.log",
        benchmark:
            f"<benchmarks>/probes/{JOBS.job}.tsv"
        wildcard_constraints:
            dataset=JOBS.trained_on,
            system=JOBS.systems,
            seed=JOBS.seeds,
        conda:
            "../../envs/vidrep.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(240),
        params:
            c=config["probes"]["c"],
            folds=config["probes"]["folds"],
            components=option("components", filter(None, [config["probes"]["components"]])),
            code=code("probe"),
        message:
            f"Probes: {JOBS.title}"
        shell:
            piped("probe", stores="input.stores", outputs="output.counts")
            + "--c {params.c} --folds {params.folds} {params.components} > {log} 2>&1"
