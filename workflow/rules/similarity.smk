# One kernel job for all activation stores of a run, as they were extracted; then one light job for each evaluation set and measure.

# The measure that is shown layer by layer, and whose distances are mapped.
LAYER_MEASURE, *_ = config["similarity"]["measures"]
SIMILARITY_TABLES = collect(
    "<results>/similarity/{evaluated}/{measure}.csv",
    evaluated=EXPERIMENT.datasets,
    measure=config["similarity"]["measures"],
)

for JOBS in [*EXTRACTIONS, EXTERNAL]:

    rule:
        name:
            JOBS.rule("kernels")
        input:
            stores=JOBS.files("activations", STORE_SUFFIX),
        output:
            kernels=[passing(path) for path in JOBS.files("kernels", ".h5")],
        log:
            f"<logs>/kernels/{JOBS.job}.log",
        benchmark:
            f"<benchmarks>/kernels/{JOBS.job}.tsv"
        wildcard_constraints:
            dataset=JOBS.trained_on,
            system=JOBS.systems,
            seed=JOBS.seeds,
        conda:
            "../../envs/vidrep.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(30),
        params:
            code=code("kernels"),
        message:
            f"Kernels: {JOBS.title}"
        shell:
            piped("kernels", stores="input.stores", outputs="output.kernels") + "> {log} 2>&1"


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
        piped("compare", kernels="input.kernels")
        + "--measure {wildcards.measure} --seed {params.seed}"
        " --permutations {params.permutations} --uncertainty {params.uncertainty} --memory-mb {resources.mem_mb} --output {output.table} > {log} 2>&1"
