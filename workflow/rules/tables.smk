# Long tables collected from the small files of all runs, and the provenance of the experiment.


EVALUATIONS = [
    (evaluated, run)
    for evaluated in EXPERIMENT.datasets
    for run in EXPERIMENT.evaluated_on(evaluated)
]
GENERATING_RUNS = [run for run in EXPERIMENT.runs() if EXPERIMENT.generates(run.system)]
TABLES = [f"<results>/tables/{name}.csv" for name in EXPERIMENT.tables()]


# Tables that are small ones put together: table to its parts, and which of their keys stand in the
# names of the parts; none where the parts have them.
CONCATENATED = {
    "training_time": (
        [
            f"<results>/training_time/{run.dataset}/{run.stem}.csv"
            for run in EXPERIMENT.followed_runs()
        ],
        ["system", "trained_on", "evaluated_on", "seed"],
    ),
    "prediction": (
        [
            *[f"<results>/generation/{run.folder}.csv" for run in GENERATING_RUNS],
            *[
                f"<results>/generation/{name}/baselines.csv"
                for name in EXPERIMENT.datasets
                if EXPERIMENT.generating_on(name)
            ],
        ],
        [],
    ),
    "prediction_verdict": (
        [f"<results>/generation/{run.folder}.verdict.csv" for run in GENERATING_RUNS],
        [],
    ),
    "detection": (
        [f"<results>/detection/{run.stem}.csv" for run in EXPERIMENT.detection_runs()],
        ["system", "trained_on", "seed"],
    ),
    "alignment": (
        [
            f"<results>/alignment/{evaluated}/{run.stem}.csv"
            for evaluated, run in BASELINE_RUNS + EXPERIMENT.alignment_runs()
        ],
        ["system", "trained_on", "evaluated_on", "seed"],
    ),
}

for table, (parts, keys) in CONCATENATED.items():
    if not parts:
        continue

    rule:
        name:
            f"collect_{table}"
        input:
            parts=parts,
        output:
            table=f"<results>/tables/{table}.csv",
        log:
            f"<logs>/tables/{table}.log",
        benchmark:
            f"<benchmarks>/tables/{table}.tsv"
        localrule: True
        conda:
            "../../envs/vidrep.yaml"
        threads: 1
        resources:
            mem_mb=growing(1000),
            runtime=growing(10),
        params:
            named=option("keys", keys),
            code=code("collect_tables"),
        message:
            f"Table {table} of all runs"
        shell:
            piped("collect_tables", parts="input.parts")
            + "{params.named} --output {output.table} > {log} 2>&1"


rule collect_accuracy:
    input:
        parts=[f"<results>/transfer/{evaluated}/{run.stem}.csv" for evaluated, run in EVALUATIONS],
        records=[f"<results>/runs/{run.folder}/run.json" for run in EXPERIMENT.trained_runs()],
        train=collect("<results>/datasets/{dataset}/train.h5", dataset=EXPERIMENT.datasets),
        test=collect("<results>/datasets/{dataset}/test.h5", dataset=EXPERIMENT.datasets),
    output:
        table="<results>/tables/accuracy.csv",
    log:
        "<logs>/tables/accuracy.log",
    benchmark:
        "<benchmarks>/tables/accuracy.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("collect_accuracy"),
    message:
        "Accuracy of all runs on all versions"
    shell:
        piped(
            "collect_accuracy",
            train="input.train",
            test="input.test",
            parts="input.parts",
            records="input.records",
        )
        + "--output {output.table} > {log} 2>&1"


rule collect_probes:
    input:
        parts=[f"<results>/probes/{evaluated}/{run.stem}.csv" for evaluated, run in EVALUATIONS],
    output:
        probes="<results>/tables/probes.csv",
        confusion="<results>/tables/confusion.csv",
    log:
        "<logs>/tables/probes.log",
    benchmark:
        "<benchmarks>/tables/probes.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("collect_probes"),
    message:
        "Probes of all runs"
    shell:
        piped("collect_probes", parts="input.parts") + "--probes {output.probes}"
        " --confusion {output.confusion} > {log} 2>&1"


rule collect_nearest:
    input:
        kernels=[
            f"<results>/kernels/{name}/{run.stem}.h5"
            for name in EXPERIMENT.datasets
            for run in EXPERIMENT.evaluated_on(name)
        ],
    output:
        table="<results>/tables/nearest.csv",
    log:
        "<logs>/tables/nearest.log",
    benchmark:
        "<benchmarks>/tables/nearest.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        seed=config["seed"],
        measures=config["similarity"]["measures"],
        uncertainty=config["similarity"]["uncertainty"],
        code=lambda wc: measure_code("collect_nearest", *config["similarity"]["measures"]),
    message:
        "The system nearest to each run"
    shell:
        piped("collect_nearest", kernels="input.kernels") + "--measures {params.measures}"
        " --uncertainty {params.uncertainty} --seed {params.seed} --memory-mb {resources.mem_mb} --output {output.table} > {log} 2>&1"


rule collect_cost:
    input:
        records=[
            f"<results>/runs/{run.dataset}/{run.system}/seed{run.seed}/run.json"
            for run in EXPERIMENT.trained_runs()
        ],
    output:
        table="<results>/tables/cost.csv",
    log:
        "<logs>/tables/cost.log",
    benchmark:
        "<benchmarks>/tables/cost.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        code=code("collect_cost"),
    message:
        "Cost of all systems"
    shell:
        piped("collect_cost", records="input.records") + "--output {output.table} > {log} 2>&1"


rule record_provenance:
    input:
        tables=TABLES,
        records=rules.collect_cost.input.records,
    output:
        record="<results>/provenance.json",
    log:
        "<logs>/tables/provenance.log",
    benchmark:
        "<benchmarks>/tables/provenance.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        config=CONFIG,
        code=code("record_provenance"),
    message:
        "Provenance of the experiment"
    shell:
        piped("record_provenance", records="input.records", tables="input.tables")
        + "--config {params.config:q} --output {output.record} > {log} 2>&1"
