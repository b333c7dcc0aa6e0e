# Linear probes: all layers where a run is opened up on its own data set, its embedding elsewhere; one job a run, like extract.


rule probe:
    input:
        stores=on_sets(f"<results>/activations/<set>/{NAME}.zarr", CLIP_SETS),
    output:
        counts=on_sets(f"<results>/probes/<set>/{NAME}.csv", CLIP_SETS),
    log:
        f"<logs>/probes/{NAME}.log",
    benchmark:
        f"<benchmarks>/probes/{NAME}.tsv"
    wildcard_constraints:
        dataset="|".join(CLIP_SETS),
        seed=r"\d+" if EXPERIMENT.transfer else "none",
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        c=config["probes"]["c"],
        folds=config["probes"]["folds"],
        components=option(
            "components",
            [config["probes"]["components"]] if config["probes"]["components"] else [],
        ),
        code=code("probe"),
    message:
        "Probes of {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed})"
    shell:
        "python $VIDREP_SCRIPTS/probe.py --stores {input.stores} --c {params.c} --folds {params.folds}"
        " {params.components} --outputs {output.counts} > {log} 2>&1"


if EXPERIMENT.transfer and LONGER_SETS:

    use rule probe as probe_longer with:
        input:
            stores=on_sets(f"<results>/activations/<set>/{NAME}.zarr", LONGER_SETS),
        output:
            counts=on_sets(f"<results>/probes/<set>/{NAME}.csv", LONGER_SETS),
        wildcard_constraints:
            dataset="|".join(LONGER_SETS),
            seed=r"\d+",


if not EXPERIMENT.transfer:

    use rule probe as probe_own with:
        input:
            stores=[f"<results>/activations/{{dataset}}/{NAME}.zarr"],
        output:
            counts=[f"<results>/probes/{{dataset}}/{NAME}.csv"],
        wildcard_constraints:
            dataset="|".join(EXPERIMENT.datasets),
            seed=r"\d+",


for NUMBER, (MADE_FOR, NAMES) in enumerate(EXPERIMENT.twins_together().items()):

    rule:
        name:
            f"probe_twins_{NUMBER}"
        input:
            stores=on_sets(
                "<results>/activations/<set>/<set>--{system}--seeduntrained.zarr", MADE_FOR
            ),
        output:
            counts=on_sets("<results>/probes/<set>/<set>--{system}--seeduntrained.csv", MADE_FOR),
        log:
            "<logs>/probes/twins--{system}.log",
        benchmark:
            "<benchmarks>/probes/twins--{system}.tsv"
        wildcard_constraints:
            system="|".join(NAMES),
        conda:
            "../../envs/vidrep.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(240),
        params:
            c=config["probes"]["c"],
            folds=config["probes"]["folds"],
            components=option(
                "components",
                [config["probes"]["components"]] if config["probes"]["components"] else [],
            ),
            code=code("probe"),
        message:
            "Probes of the untrained twins of {wildcards.system}"
        shell:
            "python $VIDREP_SCRIPTS/probe.py --stores {input.stores} --c {params.c} --folds {params.folds}"
            " {params.components} --outputs {output.counts} > {log} 2>&1"
