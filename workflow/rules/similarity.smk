# One kernel job for all activation stores of a run, like extract; then one light job for each evaluation set and measure.


rule kernels:
    input:
        stores=on_sets(f"<results>/activations/<set>/{NAME}.zarr", CLIP_SETS),
    output:
        kernels=[passing(path) for path in on_sets(f"<results>/kernels/<set>/{NAME}.h5", CLIP_SETS)],
    log:
        f"<logs>/kernels/{NAME}.log",
    benchmark:
        f"<benchmarks>/kernels/{NAME}.tsv"
    wildcard_constraints:
        dataset="|".join(CLIP_SETS),
        seed=r"\d+" if EXPERIMENT.transfer else "none",
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code("kernels"),
    message:
        "Kernels of {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed})"
    shell:
        "python $VIDREP_SCRIPTS/kernels.py --stores {input.stores} --outputs {output.kernels} > {log} 2>&1"


if EXPERIMENT.transfer and LONGER_SETS:

    use rule kernels as kernels_longer with:
        input:
            stores=on_sets(f"<results>/activations/<set>/{NAME}.zarr", LONGER_SETS),
        output:
            kernels=[
                passing(path)
                for path in on_sets(f"<results>/kernels/<set>/{NAME}.h5", LONGER_SETS)
            ],
        wildcard_constraints:
            dataset="|".join(LONGER_SETS),
            seed=r"\d+",


if not EXPERIMENT.transfer:

    use rule kernels as kernels_own with:
        input:
            stores=[f"<results>/activations/{{dataset}}/{NAME}.zarr"],
        output:
            kernels=[passing(f"<results>/kernels/{{dataset}}/{NAME}.h5")],
        wildcard_constraints:
            dataset="|".join(EXPERIMENT.datasets),
            seed=r"\d+",


use rule kernels as kernels_external with:
    input:
        stores=["<results>/activations/{evaluated}/{dataset}--{system}--seed{seed}.zarr"],
    output:
        kernels=[passing("<results>/kernels/{evaluated}/{dataset}--{system}--seed{seed}.h5")],
    log:
        "<logs>/kernels/{evaluated}/{dataset}--{system}--seed{seed}.log",
    benchmark:
        "<benchmarks>/kernels/{evaluated}/{dataset}--{system}--seed{seed}.tsv"
    wildcard_constraints:
        dataset=any_of(run.dataset for _, run in EXPERIMENT.external()),
        system=any_of(run.system for _, run in EXPERIMENT.external()),
        seed=r"\d+",


for NUMBER, (MADE_FOR, NAMES) in enumerate(EXPERIMENT.twins_together().items()):

    rule:
        name:
            f"kernels_twins_{NUMBER}"
        input:
            stores=on_sets(
                "<results>/activations/<set>/<set>--{system}--seeduntrained.zarr", MADE_FOR
            ),
        output:
            kernels=[
                passing(path)
                for path in on_sets(
                    "<results>/kernels/<set>/<set>--{system}--seeduntrained.h5", MADE_FOR
                )
            ],
        log:
            "<logs>/kernels/twins--{system}.log",
        benchmark:
            "<benchmarks>/kernels/twins--{system}.tsv"
        wildcard_constraints:
            system="|".join(NAMES),
        conda:
            "../../envs/vidrep.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(30),
        params:
            code=code("kernels"),
        message:
            "Kernels of the untrained twins of {wildcards.system}"
        shell:
            "python $VIDREP_SCRIPTS/kernels.py --stores {input.stores} --outputs {output.kernels} > {log} 2>&1"


rule compare:
    input:
        kernels=lambda wc: [
            f"<results>/kernels/{wc.evaluated}/{run.stem}.h5"
            for run in EXPERIMENT.compared_on(wc.evaluated)
        ],
    output:
        table="<results>/similarity/{evaluated}/{measure}.csv",
    log:
        "<logs>/similarity/{evaluated}/{measure}.log",
    benchmark:
        "<benchmarks>/similarity/{evaluated}/{measure}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        seed=config["seed"],
        permutations=config["similarity"]["permutations"],
        uncertainty=config["similarity"]["uncertainty"],
        code=lambda wc: measure_code("compare", wc.measure),
    message:
        "{wildcards.measure} of all pairs on {wildcards.evaluated}"
    shell:
        "printf '%s\\n' --kernels {input.kernels} | python $VIDREP_SCRIPTS/compare.py @/dev/stdin --measure {wildcards.measure} --seed {params.seed}"
        " --permutations {params.permutations} --uncertainty {params.uncertainty} --memory-mb {resources.mem_mb} --output {output.table} > {log} 2>&1"
