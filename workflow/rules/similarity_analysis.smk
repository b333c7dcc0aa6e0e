# What the similarity tables mean: a map of systems for each evaluation set, from kernels, as clips are resampled; everything else
# from the tables, in one job. And layers in the course of training, from the weights that a run has kept, a job a run.

FACTORS = {
    name: {"family": system.family, "objective": system.objective}
    for name, system in SYSTEMS.items()
}


rule map_systems:
    input:
        kernels=lambda wc: [
            f"<results>/kernels/{wc.evaluated}/{run.stem}.h5"
            for run in EXPERIMENT.evaluated_on(wc.evaluated)
        ],
    output:
        places="<results>/similarity_analysis/{evaluated}/places.csv",
        branches="<results>/similarity_analysis/{evaluated}/branches.csv",
    log:
        "<logs>/similarity_analysis/{evaluated}.log",
    benchmark:
        "<benchmarks>/similarity_analysis/{evaluated}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        measure=LAYER_MEASURE,
        seed=config["seed"],
        code=lambda wc: measure_code("map_systems", LAYER_MEASURE),
    message:
        "Map of systems on {wildcards.evaluated}"
    shell:
        piped("map_systems", kernels="input.kernels") + "--measure {params.measure}"
        " --evaluated-on {wildcards.evaluated} --seed {params.seed} --places {output.places} --branches {output.branches} > {log} 2>&1"


rule similarity_analysis:
    input:
        tables=SIMILARITY_TABLES,
    output:
        shares="<results>/tables/variance_shares.csv",
        agreement="<results>/tables/agreement.csv",
        matches="<results>/tables/layer_matches.csv",
        versions="<results>/tables/versions.csv",
    log:
        "<logs>/tables/variance_shares.log",
    benchmark:
        "<benchmarks>/tables/variance_shares.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        factors=json.dumps(FACTORS),
        measure=LAYER_MEASURE,
        seed=config["seed"],
        folder=subpath(output.shares, parent=True),
        code=code("similarity_analysis"),
    message:
        "Variance shares, agreement, matching layers and training versions"
    shell:
        piped("similarity_analysis", tables="input.tables") + "--factors {params.factors:q}"
        " --measure {params.measure} --seed {params.seed} --output {params.folder} > {log} 2>&1"


rule training_time:
    input:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
        test=split_input("test", ["{dataset}"]),
    output:
        table=f"<results>/training_time/{{dataset}}/{RUN}.csv",
    log:
        f"<logs>/training_time/{RUN}.log",
    benchmark:
        f"<benchmarks>/training_time/{RUN}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=growing(lambda wc: 3000 + 2 * clip_mb("test", [wc.dataset], wc.system)),
        runtime=growing(60),
    params:
        folder=subpath(input.record, parent=True),
        test=partial(split_values, split="test"),
        epochs=config["training"]["snapshots"],
        rows=config["activations"]["clips"],
        pooling=config["activations"]["pooling"],
        measure=LAYER_MEASURE,
        code=lambda wc: [
            system_code("training_time", wc.system),
            measure_code("training_time", LAYER_MEASURE),
        ],
    message:
        "Layers of {wildcards.system} in time ({wildcards.dataset}, seed {wildcards.seed})"
    shell:
        "python $VIDREP_SCRIPTS/training_time.py --run {params.folder} --test {params.test} --epochs {params.epochs}"
        " --rows {params.rows} --pooling {params.pooling} --measure {params.measure} --gpus {resources.gpu} --threads {threads}"
        " --output {output.table} > {log} 2>&1"
