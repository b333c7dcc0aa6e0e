# One job a run, and one job for all untrained baselines of a system, which take less than starting Python.
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
            train=split_input("train", JOBS.sets),
            validation=split_input("validation", JOBS.sets),
            pretrained=lambda wc: EXPERIMENT.initial_weights(run_of(wc)),
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
                lambda wc, sets=JOBS.sets: 3000 + 3 * clip_mb("train", filled(sets, wc), wc.system)
            ),
            runtime=growing(60 if JOBS.untrained else 240),
        params:
            system=lambda wc: json.dumps(EXPERIMENT.run_definition(wc.system), sort_keys=True),
            datasets=lambda wc, sets=JOBS.sets: filled(sets, wc),
            train=partial(split_values, split="train"),
            validation=partial(split_values, split="validation"),
            pretrained=lambda wc, input: option("weights", input.pretrained),
            experiment_seed=config["seed"],
            seed=lambda wc: run_of(wc).seed,
            precision=config["training"]["precision"],
            snapshots=option("snapshots", [] if JOBS.untrained else config["training"]["snapshots"]),
            code=lambda wc: system_code("train", wc.system),
            folders=lambda wc, output: [Path(file).parent for file in output.record],
        message:
            f"Training: {JOBS.title}"
        shell:
            piped(
                "train",
                train="params.train",
                validation="params.validation",
                outputs="params.folders",
            )
            + "--system {params.system:q} --datasets {params.datasets} {params.pretrained}"
            " --experiment-seed {params.experiment_seed} --seed {params.seed} --gpus {resources.gpu} --threads {threads}"
            " --precision {params.precision} {params.snapshots} --code {params.code} 2>&1 | tee {log}"
