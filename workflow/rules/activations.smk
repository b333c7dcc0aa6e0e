# Open up every run on every evaluation set, and score it there: one pass over the clips serves both, one job a run serves all
# sets of clips as long as those it was trained on. An untrained twin is opened up on the data set it was made for, all twins of a
# system by one job, and so is every run of an experiment without transfer, each by its own.
# On its own data set a run is also scored on manipulated clips.

NAME = "{dataset}--{system}--seed{seed}"  # of a run's files


rule extract:
    input:
        weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
        record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
        test=on_sets("<results>/datasets/<set>/test.h5", CLIP_SETS),
        fit=on_sets("<results>/datasets/<set>/train.h5", CLIP_SETS),
        test_flow=flow_of_sets(CLIP_SETS, "test"),
        fit_flow=flow_of_sets(CLIP_SETS, "train"),
        test_flow_backward=flow_of_sets(CLIP_SETS, "test", "flow_backward"),
        fit_flow_backward=flow_of_sets(CLIP_SETS, "train", "flow_backward"),
    output:
        stores=[
            passing(directory(path))
            for path in on_sets(f"<results>/activations/<set>/{NAME}.zarr", CLIP_SETS)
        ],
        scores=on_sets(f"<results>/transfer/<set>/{NAME}.csv", CLIP_SETS),
    log:
        f"<logs>/activations/{NAME}.log",
    benchmark:
        f"<benchmarks>/activations/{NAME}.tsv"
    wildcard_constraints:
        dataset="|".join(CLIP_SETS),
        seed=r"\d+" if EXPERIMENT.transfer else "none",
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        gpu=gpus,
        mem_mb=growing(
            lambda wc: 3000 + 2 * clip_mb(config["clips"]["test"], wc.dataset, wc.system)
        ),
        runtime=growing(60),
    params:
        folder=subpath(input.record, parent=True),
        sets=set_options,
        rows=config["activations"]["clips"],
        fit_rows=config["activations"]["fit_clips"],
        pooling=pooling_option(),
        dtype=config["activations"]["dtype"],
        controls=option("controls", config["controls"]),
        code=lambda wc: system_code("extract", wc.system),
    message:
        "Activations of {wildcards.system} ({wildcards.dataset}, seed {wildcards.seed})"
    shell:
        "python $VIDREP_SCRIPTS/extract.py --runs {params.folder} {params.sets} --rows {params.rows} --fit-rows {params.fit_rows}"
        " --pooling {params.pooling} --dtype {params.dtype} {params.controls} --gpus {resources.gpu} --threads {threads}"
        " --stores {output.stores} --scores {output.scores} > {log} 2>&1"


rule import_activations:
    input:
        file=external_file,
        test="<results>/datasets/{evaluated}/test.h5",
    output:
        store=directory("<results>/activations/{evaluated}/{dataset}--{system}--seed{seed}.zarr"),
    log:
        "<logs>/activations/{evaluated}/{dataset}--{system}--seed{seed}.log",
    benchmark:
        "<benchmarks>/activations/{evaluated}/{dataset}--{system}--seed{seed}.tsv"
    wildcard_constraints:
        dataset=any_of(run.dataset for _, run in EXPERIMENT.external()),
        system=any_of(run.system for _, run in EXPERIMENT.external()),
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=lambda wc, input, attempt: attempt * (1000 + 2 * input.size_mb),
        runtime=30,
    params:
        rows=config["activations"]["clips"],
        code=code("import_activations"),
    message:
        "Activations of {wildcards.system} on {wildcards.evaluated} from {input.file}"
    shell:
        "python $VIDREP_SCRIPTS/import_activations.py --file {input.file:q} --test {input.test} --rows {params.rows}"
        " --dataset {wildcards.dataset} --system {wildcards.system} --seed {wildcards.seed} --output {output.store} > {log} 2>&1"


if EXPERIMENT.transfer and LONGER_SETS:

    use rule extract as extract_longer with:
        input:
            weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
            record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
            test=on_sets("<results>/datasets/<set>/test.h5", LONGER_SETS),
            fit=on_sets("<results>/datasets/<set>/train.h5", LONGER_SETS),
            test_flow=flow_of_sets(LONGER_SETS, "test"),
            fit_flow=flow_of_sets(LONGER_SETS, "train"),
            test_flow_backward=flow_of_sets(LONGER_SETS, "test", "flow_backward"),
            fit_flow_backward=flow_of_sets(LONGER_SETS, "train", "flow_backward"),
        output:
            stores=[
                passing(directory(path))
                for path in on_sets(f"<results>/activations/<set>/{NAME}.zarr", LONGER_SETS)
            ],
            scores=on_sets(f"<results>/transfer/<set>/{NAME}.csv", LONGER_SETS),
        wildcard_constraints:
            dataset="|".join(LONGER_SETS),
            seed=r"\d+",


if not EXPERIMENT.transfer:

    use rule extract as extract_own with:
        input:
            weights="<results>/runs/{dataset}/{system}/seed{seed}/weights.pt",
            record="<results>/runs/{dataset}/{system}/seed{seed}/run.json",
            test=["<results>/datasets/{dataset}/test.h5"],
            fit=["<results>/datasets/{dataset}/train.h5"],
            test_flow=lambda wc: flow_of(wc.system, wc.dataset, "test"),
            fit_flow=lambda wc: flow_of(wc.system, wc.dataset, "train"),
            test_flow_backward=lambda wc: flow_of(wc.system, wc.dataset, "test", "flow_backward"),
            fit_flow_backward=lambda wc: flow_of(wc.system, wc.dataset, "train", "flow_backward"),
        output:
            stores=[passing(directory(f"<results>/activations/{{dataset}}/{NAME}.zarr"))],
            scores=[f"<results>/transfer/{{dataset}}/{NAME}.csv"],
        wildcard_constraints:
            dataset="|".join(EXPERIMENT.datasets),
            seed=r"\d+",


for NUMBER, (MADE_FOR, NAMES) in enumerate(EXPERIMENT.twins_together().items()):

    rule:
        name:
            f"extract_twins_{NUMBER}"
        input:
            weights=on_sets("<results>/runs/<set>/{system}/seeduntrained/weights.pt", MADE_FOR),
            record=on_sets("<results>/runs/<set>/{system}/seeduntrained/run.json", MADE_FOR),
            test=on_sets("<results>/datasets/<set>/test.h5", MADE_FOR),
            fit=on_sets("<results>/datasets/<set>/train.h5", MADE_FOR),
            test_flow=flow_of_sets(MADE_FOR, "test"),
            fit_flow=flow_of_sets(MADE_FOR, "train"),
            test_flow_backward=flow_of_sets(MADE_FOR, "test", "flow_backward"),
            fit_flow_backward=flow_of_sets(MADE_FOR, "train", "flow_backward"),
        output:
            stores=[
                passing(directory(path))
                for path in on_sets(
                    "<results>/activations/<set>/<set>--{system}--seeduntrained.zarr", MADE_FOR
                )
            ],
            scores=on_sets("<results>/transfer/<set>/<set>--{system}--seeduntrained.csv", MADE_FOR),
        log:
            "<logs>/activations/twins--{system}.log",
        benchmark:
            "<benchmarks>/activations/twins--{system}.tsv"
        wildcard_constraints:
            system="|".join(NAMES),
        conda:
            "../../envs/vidrep.yaml"
        threads: config["training"]["threads"]
        resources:
            gpu=gpus,
            mem_mb=growing(lambda wc, sets=MADE_FOR: 3000 + 2 * largest_mb("test", sets, wc.system)),
            runtime=growing(60),
        params:
            folders=lambda wc, input: [Path(file).parent for file in input.record],
            sets=set_options,
            rows=config["activations"]["clips"],
            fit_rows=config["activations"]["fit_clips"],
            pooling=pooling_option(),
            dtype=config["activations"]["dtype"],
            controls=option("controls", config["controls"]),
            code=lambda wc: system_code("extract", wc.system),
        message:
            "Activations of the untrained twins of {wildcards.system}"
        shell:
            "python $VIDREP_SCRIPTS/extract.py --runs {params.folders} {params.sets} --rows {params.rows} --fit-rows {params.fit_rows}"
            " --pooling {params.pooling} --dtype {params.dtype} {params.controls} --gpus {resources.gpu} --threads {threads}"
            " --stores {output.stores} --scores {output.scores} > {log} 2>&1"
