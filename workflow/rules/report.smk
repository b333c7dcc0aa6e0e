# Figures: one rule per kind, each drawing all data sets at once, since starting matplotlib costs more than a figure.
#
# plot_clips carries threads, resources and the command; the other rules inherit them. Each named input goes to the script's
# option of that name.


include: "figures.smk"


rule plot_clips:
    input:
        clips=TEST_CLIPS,
    output:
        png=figure("clips", "Data", figure="clips of the versions"),
        pdf="<results>/figures/clips.pdf",
    log:
        "<logs>/figures/clips.log",
    benchmark:
        "<benchmarks>/figures/clips.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        files=file_options,
        options="",
        target=lambda wc, output: output.png,
        script="plot_clips",
        code=code("plot_clips"),
    message:
        "Figure: clips of the versions"
    shell:
        "printf '%s\\n' {params.files} | python $VIDREP_SCRIPTS/{params.script}.py @/dev/stdin {params.options} --output {params.target} > {log} 2>&1"


use rule plot_clips as plot_flow with:
    input:
        clips=TEST_CLIPS,
        flow=collect(
            "<results>/flow/{dataset}/test/{method}.zarr",
            dataset=EXPERIMENT.datasets,
            method=EXPERIMENT.flow_methods(),
        ),
        errors=["<results>/tables/flow_error.csv"] if ESTIMATORS else [],
    output:
        png=per_dataset("flow", "Data"),
        pdf=beside("flow"),
    log:
        "<logs>/figures/flow.log",
    benchmark:
        "<benchmarks>/figures/flow.tsv"
    params:
        target=folder,
        script="plot_flow",
        code=code("plot_flow"),
    message:
        "Figures: optical flow"


use rule plot_clips as plot_learning with:
    input:
        histories=[
            f"<results>/runs/{run.dataset}/{run.system}/seed{run.seed}/history.csv"
            for run in EXPERIMENT.trained_runs()
        ],
    output:
        png=per_dataset("learning", "Training"),
        pdf=beside("learning"),
    log:
        "<logs>/figures/learning.log",
    benchmark:
        "<benchmarks>/figures/learning.tsv"
    params:
        options=f"{SET_OPTION} {FAMILY_OPTION}",
        target=folder,
        script="plot_learning",
        code=code("plot_learning"),
    message:
        "Figures: learning curves"


use rule plot_clips as plot_accuracy with:
    input:
        accuracy="<results>/tables/accuracy.csv",
        clips=TEST_CLIPS,
    output:
        png=figure("accuracy", "Accuracy", figure="accuracy of every system"),
        pdf="<results>/figures/accuracy.pdf",
    log:
        "<logs>/figures/accuracy.log",
    benchmark:
        "<benchmarks>/figures/accuracy.tsv"
    params:
        options=FAMILY_OPTION,
        script="plot_accuracy",
        code=code("plot_accuracy"),
    message:
        "Figure: accuracy"


use rule plot_clips as plot_transfer with:
    input:
        accuracy="<results>/tables/accuracy.csv",
        clips=TEST_CLIPS,
    output:
        png=figure("transfer", "Accuracy", figure="transfer between versions"),
        pdf="<results>/figures/transfer.pdf",
    log:
        "<logs>/figures/transfer.log",
    benchmark:
        "<benchmarks>/figures/transfer.tsv"
    params:
        options=FAMILY_OPTION,
        script="plot_transfer",
        code=code("plot_transfer"),
    message:
        "Figure: transfer"


use rule plot_clips as plot_controls with:
    input:
        accuracy="<results>/tables/accuracy.csv",
        clips=TEST_CLIPS,
    output:
        png=figure("controls", "Accuracy", figure="does it use motion?"),
        pdf="<results>/figures/controls.pdf",
    log:
        "<logs>/figures/controls.log",
    benchmark:
        "<benchmarks>/figures/controls.tsv"
    params:
        options=FAMILY_OPTION,
        script="plot_controls",
        code=code("plot_controls"),
    message:
        "Figure: controls of motion"


use rule plot_clips as plot_few_labels with:
    input:
        accuracy="<results>/tables/accuracy.csv",
        clips=TEST_CLIPS,
    output:
        png=figure("few_labels", "Accuracy", figure="accuracy with few labels"),
        pdf="<results>/figures/few_labels.pdf",
    log:
        "<logs>/figures/few_labels.log",
    benchmark:
        "<benchmarks>/figures/few_labels.tsv"
    params:
        options=f"{FAMILY_OPTION} --lines {shlex.quote(json.dumps(label_lines()))}",
        script="plot_few_labels",
        code=code("plot_few_labels"),
    message:
        "Figure: accuracy with few labels"


use rule plot_clips as plot_cost with:
    input:
        accuracy="<results>/tables/accuracy.csv",
        cost="<results>/tables/cost.csv",
        clips=TEST_CLIPS,
    output:
        png=figure("cost", "Accuracy", figure="accuracy against cost"),
        pdf="<results>/figures/cost.pdf",
    log:
        "<logs>/figures/cost.log",
    benchmark:
        "<benchmarks>/figures/cost.tsv"
    params:
        options=FAMILY_OPTION,
        script="plot_cost",
        code=code("plot_cost"),
    message:
        "Figure: accuracy against cost"


use rule plot_clips as plot_probes with:
    input:
        probes="<results>/tables/probes.csv",
        confusion="<results>/tables/confusion.csv",
    output:
        png=per_dataset("probes", "Probes by layer"),
        pdf=beside("probes"),
    log:
        "<logs>/figures/probes.log",
    benchmark:
        "<benchmarks>/figures/probes.tsv"
    params:
        options=f"{SET_OPTION} {FAMILY_OPTION}",
        target=folder,
        script="plot_probes",
        code=code("plot_probes"),
    message:
        "Figures: probes by layer"


use rule plot_clips as plot_confusion with:
    input:
        confusion="<results>/tables/confusion.csv",
    output:
        png=per_dataset("confusion", "Probes: confusion"),
        pdf=beside("confusion"),
    log:
        "<logs>/figures/confusion.log",
    benchmark:
        "<benchmarks>/figures/confusion.tsv"
    params:
        options=f"{SET_OPTION} {FAMILY_OPTION}",
        target=folder,
        script="plot_confusion",
        code=code("plot_confusion"),
    message:
        "Figures: confusion of the probes"


use rule plot_clips as plot_similarity with:
    input:
        tables=similarity_tables(),
        verdicts=EXPERIMENT.verdicts(),
    output:
        png=[
            figure(
                f"similarity/{dataset}--{measure}",
                "Similarity of runs",
                **{"data set": dataset, "measure": measure},
            )
            for dataset in EXPERIMENT.datasets
            for measure in MEASURES
        ],
        pdf=beside(
            "similarity",
            [f"{dataset}--{measure}" for dataset in EXPERIMENT.datasets for measure in MEASURES],
        ),
    log:
        "<logs>/figures/similarity.log",
    benchmark:
        "<benchmarks>/figures/similarity.tsv"
    params:
        options=COMPARED_OPTION,
        target=folder,
        script="plot_similarity",
        code=code("plot_similarity"),
    message:
        "Figures: similarity of all embeddings"


use rule plot_clips as plot_functional with:
    input:
        tables=functional_similarity_tables(),
    output:
        png=per_dataset("functional", "Answers of runs"),
        pdf=beside("functional"),
    log:
        "<logs>/figures/functional.log",
    benchmark:
        "<benchmarks>/figures/functional.tsv"
    params:
        options=FAMILY_OPTION,
        target=folder,
        script="plot_functional",
        code=code("plot_functional"),
    message:
        "Figures: answers of runs, and heads on each other's features"


use rule plot_clips as plot_layers with:
    input:
        tables=[
            f"<results>/similarity/{dataset}/{LAYER_MEASURE}.csv"
            for dataset in EXPERIMENT.datasets
        ],
        verdicts=EXPERIMENT.verdicts(),
    output:
        png=[
            figure(
                f"layers/{dataset}--{LAYER_MEASURE}",
                "Similarity of layers",
                **{"data set": dataset},
            )
            for dataset in EXPERIMENT.datasets
        ],
        pdf=beside(
            "layers",
            [f"{dataset}--{LAYER_MEASURE}" for dataset in EXPERIMENT.datasets],
        ),
    log:
        "<logs>/figures/layers.log",
    benchmark:
        "<benchmarks>/figures/layers.tsv"
    params:
        options=COMPARED_OPTION,
        target=folder,
        script="plot_layers",
        code=code("plot_layers"),
    message:
        "Figures: layer against layer"


use rule plot_clips as plot_map with:
    input:
        places=collect(
            "<results>/similarity_analysis/{evaluated}/places.csv", evaluated=EXPERIMENT.datasets
        ),
        branches=collect(
            "<results>/similarity_analysis/{evaluated}/branches.csv", evaluated=EXPERIMENT.datasets
        ),
        verdicts=EXPERIMENT.verdicts(),
    output:
        png=[
            figure(
                f"map/{dataset}",
                "Similarity of systems",
                **{"data set": dataset, "figure": "map and tree"},
            )
            for dataset in EXPERIMENT.datasets
        ],
        pdf=beside("map"),
    log:
        "<logs>/figures/map.log",
    benchmark:
        "<benchmarks>/figures/map.tsv"
    params:
        options=f"{FAMILY_OPTION} --measure {LAYER_MEASURE}",
        target=folder,
        script="plot_map",
        code=code("plot_map"),
    message:
        "Figures: maps of systems"


use rule plot_clips as plot_structure with:
    input:
        shares="<results>/tables/variance_shares.csv",
        verdicts=EXPERIMENT.verdicts(),
    output:
        png=figure(
            "structure",
            "Similarity of systems",
            **{"data set": "all", "figure": "what explains it"},
        ),
        pdf="<results>/figures/structure.pdf",
    log:
        "<logs>/figures/structure.log",
    benchmark:
        "<benchmarks>/figures/structure.tsv"
    params:
        script="plot_structure",
        code=code("plot_structure"),
    message:
        "Figure: what explains which systems are alike"


use rule plot_clips as plot_layer_matches with:
    input:
        matches="<results>/tables/layer_matches.csv",
        verdicts=EXPERIMENT.verdicts(),
    output:
        png=[
            figure(f"layer_matches/{name}", "Best matching layers", **{"data set": name})
            for name in EXPERIMENT.matched_sets()
        ],
        pdf=beside("layer_matches", EXPERIMENT.matched_sets()),
    log:
        "<logs>/figures/layer_matches.log",
    benchmark:
        "<benchmarks>/figures/layer_matches.tsv"
    params:
        options=f"{option('datasets', EXPERIMENT.matched_sets())} {FAMILY_OPTION}",
        target=folder,
        script="plot_layer_matches",
        code=code("plot_layer_matches"),
    message:
        "Figures: best matching layers"


use rule plot_clips as plot_versions with:
    input:
        versions="<results>/tables/versions.csv",
        verdicts=EXPERIMENT.verdicts(),
    output:
        png=[
            figure(f"versions/{dataset}", "Other training data", **{"data set": dataset})
            for dataset in EXPERIMENT.version_sets()
        ],
        pdf=beside("versions", EXPERIMENT.version_sets()),
    log:
        "<logs>/figures/versions.log",
    benchmark:
        "<benchmarks>/figures/versions.tsv"
    params:
        options=f"{option('datasets', EXPERIMENT.version_sets())} {FAMILY_OPTION}",
        target=folder,
        script="plot_versions",
        code=code("plot_versions"),
    message:
        "Figures: layers after training on different data"


use rule plot_clips as plot_training_time with:
    input:
        training_time="<results>/tables/training_time.csv",
        verdicts=EXPERIMENT.verdicts(),
    output:
        png=[
            figure(f"training_time/{dataset}", "Layers in training", **{"data set": dataset})
            for dataset in EXPERIMENT.followed_sets()
        ],
        pdf=beside("training_time", EXPERIMENT.followed_sets()),
    log:
        "<logs>/figures/training_time.log",
    benchmark:
        "<benchmarks>/figures/training_time.tsv"
    params:
        options=f"{option('datasets', EXPERIMENT.followed_sets())} {FAMILY_OPTION}",
        target=folder,
        script="plot_training_time",
        code=code("plot_training_time"),
    message:
        "Figures: layers in the course of training"


use rule plot_clips as plot_projections with:
    input:
        stores=embedding_stores(),
    output:
        png=per_dataset("projections", "Embeddings"),
        pdf=beside("projections"),
    log:
        "<logs>/figures/projections.log",
    benchmark:
        "<benchmarks>/figures/projections.tsv"
    params:
        target=folder,
        script="plot_projections",
        code=code("plot_projections"),
    message:
        "Figures: embeddings in the plane"


use rule plot_clips as plot_generation with:
    input:
        frames=lambda wc: f"<results>/generation/{wc.dataset}/{wc.system}/seed{min(SYSTEMS[wc.system].seeds)}.h5",
    output:
        png=report(
            "<results>/figures/generation/{dataset}--{system}.png",
            caption="../report/generation.rst",
            category="Generation",
            labels={"data set": "{dataset}", "system": "{system}"},
        ),
        pdf="<results>/figures/generation/{dataset}--{system}.pdf",
    log:
        "<logs>/figures/generation/{dataset}--{system}.log",
    benchmark:
        "<benchmarks>/figures/generation/{dataset}--{system}.tsv"
    params:
        options=lambda wc: option("run", [shlex.quote(f"{wc.system}, trained on {wc.dataset}")]),
        script="plot_generation",
        code=code("plot_generation"),
    message:
        "Figure: frames generated by {wildcards.system} on {wildcards.dataset}"


rule animate_generation:
    input:
        frames=lambda wc: f"<results>/generation/{wc.dataset}/{wc.system}/seed{min(SYSTEMS[wc.system].seeds)}.h5",
    output:
        animation="<results>/figures/generation/{dataset}--{system}.webp",
        page=report(
            "<results>/figures/generation/{dataset}--{system}.html",
            caption="../report/animation.rst",
            category="Generation",
            labels={"data set": "{dataset}", "system": "{system}, animated"},
        ),
    log:
        "<logs>/figures/generation/{dataset}--{system}.animation.log",
    benchmark:
        "<benchmarks>/figures/generation/{dataset}--{system}.animation.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        run=lambda wc: f"{wc.system}, trained on {wc.dataset}",
        code=code("animate_generation"),
    message:
        "Animation: frames generated by {wildcards.system} on {wildcards.dataset}"
    shell:
        "python $VIDREP_SCRIPTS/animate_generation.py --frames {input.frames} --run {params.run:q} --output {output.animation} > {log} 2>&1"


use rule plot_clips as plot_prediction with:
    input:
        prediction="<results>/tables/prediction.csv",
        verdicts="<results>/tables/prediction_verdict.csv",
        clips=TEST_CLIPS,
    output:
        png=[
            figure(f"prediction/{dataset}", "Generation", **{"data set": dataset, "system": "all"})
            for dataset in EXPERIMENT.generating_sets()
        ],
        pdf=beside("prediction", EXPERIMENT.generating_sets()),
    log:
        "<logs>/figures/prediction.log",
    benchmark:
        "<benchmarks>/figures/prediction.tsv"
    params:
        options=f"{option('datasets', EXPERIMENT.generating_sets())} {FAMILY_OPTION}",
        target=folder,
        script="plot_prediction",
        code=code("plot_prediction"),
    message:
        "Figures: scores of generated frames"


use rule plot_clips as plot_features with:
    input:
        trained=lambda wc: run_files(wc, min(SYSTEMS[wc.system].seeds)),
        twin=lambda wc: run_files(wc, UNTRAINED),
        test="<results>/datasets/{dataset}/test.h5",
    output:
        png=report(
            "<results>/figures/features/{dataset}--{system}.png",
            caption="../report/features.rst",
            category="Generation",
            labels={"data set": "{dataset}", "system": "{system}, features"},
        ),
        pdf="<results>/figures/features/{dataset}--{system}.pdf",
    log:
        "<logs>/figures/features/{dataset}--{system}.log",
    benchmark:
        "<benchmarks>/figures/features/{dataset}--{system}.tsv"
    params:
        options=lambda wc: option("run", [shlex.quote(f"{wc.system}, trained on {wc.dataset}")]),
        script="plot_features",
        code=lambda wc: system_code("plot_features", wc.system),
    message:
        "Figure: features learnt by {wildcards.system} on {wildcards.dataset}"


use rule plot_clips as plot_detection with:
    input:
        detections=lambda wc: f"<results>/detection/{wc.dataset}--{wc.system}--seed{min(SYSTEMS[wc.system].seeds)}.json",
        probabilities=lambda wc: f"<results>/detection/{wc.dataset}--{wc.system}--seed{min(SYSTEMS[wc.system].seeds)}.npz",
        scores=lambda wc: f"<results>/detection/{wc.dataset}--{wc.system}--seed{min(SYSTEMS[wc.system].seeds)}.csv",
    output:
        png=report(
            "<results>/figures/detection/{dataset}--{system}.png",
            caption="../report/detection.rst",
            category="Detection",
            labels={"data set": "{dataset}", "system": "{system}"},
        ),
        pdf="<results>/figures/detection/{dataset}--{system}.pdf",
    log:
        "<logs>/figures/detection/{dataset}--{system}.log",
    benchmark:
        "<benchmarks>/figures/detection/{dataset}--{system}.tsv"
    params:
        options=lambda wc: option("run", [shlex.quote(f"{wc.system}, trained on {wc.dataset}")]),
        script="plot_detection",
        code=code("plot_detection"),
    message:
        "Figure: activities detected with {wildcards.system} on {wildcards.dataset}"


use rule plot_clips as plot_alignment with:
    input:
        alignment="<results>/tables/alignment.csv",
    output:
        png=[
            figure(f"alignment/{dataset}", "Alignment", **{"data set": dataset, "system": "all"})
            for dataset in EXPERIMENT.sequences()
        ],
        pdf=beside("alignment", EXPERIMENT.sequences()),
    log:
        "<logs>/figures/alignment.log",
    benchmark:
        "<benchmarks>/figures/alignment.tsv"
    params:
        options=f"{option('datasets', EXPERIMENT.sequences())} {FAMILY_OPTION} --videos {config['alignment']['test']}",
        target=folder,
        script="plot_alignment",
        code=code("plot_alignment"),
    message:
        "Figures: alignment of sequences"


use rule plot_clips as plot_matches with:
    input:
        matches=first_matches,
    output:
        png=report(
            "<results>/figures/matches/{dataset}--{system}.png",
            caption="../report/matches.rst",
            category="Alignment",
            labels={"data set": "{dataset}", "system": "{system}"},
        ),
        pdf="<results>/figures/matches/{dataset}--{system}.pdf",
    log:
        "<logs>/figures/matches/{dataset}--{system}.log",
    benchmark:
        "<benchmarks>/figures/matches/{dataset}--{system}.tsv"
    params:
        options=lambda wc: option("run", [shlex.quote(f"{wc.system}, trained on {wc.dataset}")]),
        script="plot_matches",
        code=code("plot_matches"),
    message:
        "Figure: videos of {wildcards.dataset} aligned by {wildcards.system}"


rule animate_matches:
    input:
        matches=first_matches,
    output:
        animation="<results>/figures/matches/{dataset}--{system}.webp",
        page=report(
            "<results>/figures/matches/{dataset}--{system}.html",
            caption="../report/matches.rst",
            category="Alignment",
            labels={"data set": "{dataset}", "system": "{system}, animated"},
        ),
    log:
        "<logs>/figures/matches/{dataset}--{system}.animation.log",
    benchmark:
        "<benchmarks>/figures/matches/{dataset}--{system}.animation.tsv"
    conda:
        "../../envs/vidrep.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        run=lambda wc: f"{wc.system}, trained on {wc.dataset}",
        code=code("animate_matches"),
    message:
        "Animation: videos of {wildcards.dataset} aligned by {wildcards.system}"
    shell:
        "python $VIDREP_SCRIPTS/animate_matches.py --matches {input.matches} --run {params.run:q} --output {output.animation} > {log} 2>&1"
