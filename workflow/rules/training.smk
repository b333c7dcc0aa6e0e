# One job a run, and one job for the untrained baselines of all small systems, which take less than starting Python: editing one of
# their models makes all of these anew, in seconds. Baselines of other systems have a job a system.
# Runs with pretrained weights have the file among their inputs.

from vidrep.systems import STILL_DIGITS


rule pretrain_digits:
    input:
        digits="<results>/digits/digits.npz",
    output:
        weights=f"<results>/pretrained/{STILL_DIGITS}.pt",
        record=f"<results>/pretrained/{STILL_DIGITS}.json",
    log:
        f"<logs>/training/{STILL_DIGITS}.log",
    benchmark:
        f"<benchmarks>/training/{STILL_DIGITS}.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: config["training"]["threads"]
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        canvas=config["video"]["size_px"],
        seed=config["seed"],
        code=code("pretrain_digits"),
    message:
        "Training a CNN on still digits"
    shell:
        "python $VIDREP_SCRIPTS/pretrain_digits.py --digits {input.digits} --canvas {params.canvas} --seed {params.seed} --threads {threads}"
        " --weights {output.weights} --record {output.record} > {log} 2>&1"


for JOBS in EXPERIMENT.trainings():

    rule:
        name:
            JOBS.rule("train")
        input:
            train=split_input("train", JOBS.sets, JOBS.met_by),
            validation=split_input("validation", JOBS.sets, JOBS.met_by),
            pretrained=[] if JOBS.untrained else lambda wc: EXPERIMENT.initial_weights(run_of(wc)),
            digits=endless_digits,
        output:
            weights=JOBS.run_files("weights.pt"),
            history=JOBS.run_files("history.csv"),
            record=JOBS.run_files("run.json"),
        log:
            f"<logs>/training/{JOBS.job}.log",
        benchmark:
            f"<benchmarks>/training/{JOBS.job}.tsv"
        wildcard_constraints:
            dataset=JOBS.trained_on,
            system=JOBS.systems,
            seed=JOBS.seeds,
        conda:
            "../../envs/vidrep.yaml"
        threads: config["training"]["threads"]
        resources:
            gpu=0 if JOBS.untrained else gpus,
            mem_mb=growing(
                lambda wc, jobs=JOBS: 3000
                + (6 if endless_set(wc) else 3)
                * clip_mb("train", filled(jobs.sets, wc), *systems_of(jobs, wc))
            ),
            runtime=growing(60 if JOBS.untrained else 240),
        params:
            systems=lambda wc, jobs=JOBS: [
                json.dumps(EXPERIMENT.run_definition(system), sort_keys=True)
                for system in filled(jobs.met_by, wc)
            ],
            datasets=lambda wc, sets=JOBS.sets: filled(sets, wc),
            train=partial(split_values, split="train", met_by=JOBS.met_by),
            validation=partial(split_values, split="validation", met_by=JOBS.met_by),
            pretrained=lambda wc, input: option("weights", input.pretrained),
            endless=endless_options,
            experiment_seed=config["seed"],
            seed=lambda wc: wc.get("seed", UNTRAINED),
            precision=config["training"]["precision"],
            snapshots=option("snapshots", [] if JOBS.untrained else config["training"]["snapshots"]),
            code=partial(training_code, JOBS),
            folders=lambda wc, output: [Path(file).parent for file in output.record],
        message:
            f"Training: {JOBS.title}"
        shell:
            piped(
                "train",
                systems="params.systems:q",
                datasets="params.datasets",
                train="params.train",
                validation="params.validation",
                outputs="params.folders",
            )
            + "{params.pretrained} {params.endless}"
            " --experiment-seed {params.experiment_seed} --seed {params.seed} --gpus {resources.gpu} --threads {threads}"
            " --precision {params.precision} {params.snapshots} --code {params.code} 2>&1 | tee {log}"
