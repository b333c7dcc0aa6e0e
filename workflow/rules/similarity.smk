# One kernel job for each activation store, then one light job for each evaluation set and measure.


rule kernels:
    input:
        store="<results>/activations/{evaluated}/{dataset}--{system}--seed{seed}.zarr",
    output:
        kernels=passing("<results>/kernels/{evaluated}/{dataset}--{system}--seed{seed}.h5"),
    log:
        "<logs>/kernels/{evaluated}/{dataset}--{system}--seed{seed}.log",
    benchmark:
        "<benchmarks>/kernels/{evaluated}/{dataset}--{system}--seed{seed}.tsv"
    wildcard_constraints:
        dataset=any_of([*EXPERIMENT.datasets, *(run.dataset for _, run in EXPERIMENT.external())]),
        system=any_of(EXPERIMENT.families()),
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        code=code("kernels"),
    message:
        "Kernels of {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed}) on {wildcards.evaluated}"
    shell:
        "python $VIDREP_SCRIPTS/kernels.py --store {input.store} --output {output.kernels} > {log} 2>&1"


rule compare:
    input:
        kernels=lambda wc: [f"<results>/kernels/{wc.evaluated}/{run.stem}.h5" for run in EXPERIMENT.compared_on(wc.evaluated)],
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
        code=code("compare"),
    message:
        "{wildcards.measure} of all pairs on {wildcards.evaluated}"
    shell:
        "printf '%s\\n' --kernels {input.kernels} | python $VIDREP_SCRIPTS/compare.py @/dev/stdin --measure {wildcards.measure} --seed {params.seed}"
        " --permutations {params.permutations} --uncertainty {params.uncertainty} --memory-mb {resources.mem_mb} --output {output.table} > {log} 2>&1"
