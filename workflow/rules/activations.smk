# Activations of every run on every evaluation set, and its scores there: one pass over the clips serves both, and one job a run
# serves all data sets whose clips are comparable to those it was trained on. An untrained baseline meets the data set it was made
# for, those of all small systems in one job. On its own data set a run is also scored on manipulated clips.

EXTRACTIONS = EXPERIMENT.extractions()
EXTERNAL = EXPERIMENT.external_jobs()

for JOBS in EXTRACTIONS:

    rule:
        name:
            JOBS.rule("extract")
        input:
            weights=JOBS.run_files("weights.pt"),
            record=JOBS.run_files("run.json"),
            test=split_input("test", JOBS.sets, JOBS.met_by),
            fit=split_input("train", JOBS.sets, JOBS.met_by),
        output:
            stores=[passing(path) for path in JOBS.files("activations", STORE_SUFFIX)],
            scores=JOBS.files("transfer", ".csv"),
            clip_scores=JOBS.files("clip_scores", ".npz"),
        log:
            f"<logs>/activations/{JOBS.job}.log",
        benchmark:
            f"<benchmarks>/activations/{JOBS.job}.tsv"
        wildcard_constraints:
            dataset=JOBS.trained_on,
            system=JOBS.systems,
            seed=JOBS.seeds,
        conda:
            "../../envs/vidrep.yaml"
        threads: config["training"]["threads"]
        resources:
            gpu=gpus,
            mem_mb=growing(
                lambda wc, jobs=JOBS: 3000 + 2 * clip_mb("test", jobs.sets, *systems_of(jobs, wc))
            ),
            runtime=growing(60),
        params:
            folders=lambda wc, input: [Path(file).parent for file in input.record],
            test=partial(split_values, split="test", met_by=JOBS.met_by),
            fit=partial(split_values, split="fit", met_by=JOBS.met_by),
            rows=config["activations"]["clips"],
            fit_rows=config["activations"]["fit_clips"],
            pooling=config["activations"]["pooling"],
            dtype=config["activations"]["dtype"],
            controls=option("controls", config["controls"]),
            code=partial(codes, "extract", JOBS),
        message:
            f"Activations: {JOBS.title}"
        shell:
            piped(
                "extract",
                runs="params.folders",
                test="params.test",
                fit="params.fit",
                stores="output.stores",
                scores="output.scores",
                clip_scores="output.clip_scores",
            )
            + "--rows {params.rows} --fit-rows {params.fit_rows} --pooling {params.pooling} --dtype {params.dtype}"
            " {params.controls} --gpus {resources.gpu} --threads {threads} > {log} 2>&1"


rule import_activations:
    input:
        file=lambda wc: EXPERIMENT.external_item(wc.evaluated, run_of(wc))["file"],
        test="<results>/datasets/{evaluated}/test.h5",
    output:
        store=EXTERNAL.files("activations", STORE_SUFFIX)[0],
    log:
        f"<logs>/activations/{EXTERNAL.job}.log",
    benchmark:
        f"<benchmarks>/activations/{EXTERNAL.job}.tsv"
    wildcard_constraints:
        dataset=EXTERNAL.trained_on,
        system=EXTERNAL.systems,
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(30),
    params:
        rows=config["activations"]["clips"],
        layers=lambda wc: EXPERIMENT.external_item(wc.evaluated, run_of(wc)).get("layers", []),
        code=code("import_activations"),
    message:
        "Activations of {wildcards.system} on {wildcards.evaluated} from {input.file}"
    shell:
        "python $VIDREP_SCRIPTS/import_activations.py --file {input.file:q} --layers {params.layers:q} --test {input.test} --rows {params.rows}"
        " --dataset {wildcards.dataset} --system {wildcards.system} --seed {wildcards.seed} --output {output.store} > {log} 2>&1"
