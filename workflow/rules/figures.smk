# Which figures there are, and what their rules in report.smk share.

import shlex

MEASURES = config["similarity"]["measures"]
PER_DATASET = ("flow", "learning", "probes", "confusion", "projections", "map", "functional")
OVERVIEWS = (
    ["clips", "accuracy", "cost", "structure"]
    + ["transfer"] * EXPERIMENT.transfer
    + ["controls"] * bool(config["controls"])
)

TEST_CLIPS = collect("<results>/datasets/{dataset}/test.h5", dataset=EXPERIMENT.datasets)
FAMILY_OPTION = f"--families {shlex.quote(json.dumps(FAMILIES))}"
COMPARED_OPTION = (
    f"--families {shlex.quote(json.dumps(EXPERIMENT.families()))}"  # also of external networks
)
SET_OPTION = option("datasets", EXPERIMENT.datasets)


def label_lines():
    """The systems trained on few labels, those that differ in their number alone together: name of the first -> system -> number.

    Such a system that uses all labels counts with them.
    """
    lines = {}
    for system in SYSTEMS.values():
        alike = {**system.definition(), "name": None, "recipe": {**system.recipe, "labelled": None}}
        line = lines.setdefault(json.dumps(alike, sort_keys=True), {})
        line[system.name] = system.recipe["labelled"] or config["clips"]["train"]
    return {next(iter(line)): line for line in lines.values() if any(map(few_labels, line))}


def few_labels(system):
    """Is a system trained on the labels of some clips only?"""
    return SYSTEMS[system].recipe["labelled"] is not None


def report_targets():
    """All figures of the report."""
    names = OVERVIEWS + ["few_labels"] * (sum(map(few_labels, SYSTEMS)) > 1)
    names += [f"{kind}/{dataset}" for kind in PER_DATASET for dataset in EXPERIMENT.datasets]
    names += [
        f"similarity/{dataset}--{measure}"
        for dataset in EXPERIMENT.datasets
        for measure in MEASURES
    ]
    names += [f"layers/{dataset}--{LAYER_MEASURE}" for dataset in EXPERIMENT.datasets]
    names += [f"layer_matches/{dataset}" for dataset in EXPERIMENT.matched_sets()]
    names += [f"versions/{dataset}" for dataset in EXPERIMENT.version_sets()]
    names += [f"training_time/{dataset}" for dataset in EXPERIMENT.followed_sets()]
    names += [
        f"generation/{run.dataset}--{run.system}"
        for run in first_seeds(EXPERIMENT.generating_runs())
    ]
    names += [f"prediction/{dataset}" for dataset in EXPERIMENT.generating_sets()]
    names += [f"features/{run.dataset}--{run.system}" for run in first_seeds(lstm_runs())]
    names += [
        f"detection/{run.dataset}--{run.system}" for run in first_seeds(EXPERIMENT.detection_runs())
    ]
    names += [f"alignment/{dataset}" for dataset in EXPERIMENT.sequences()]
    names += [f"matches/{run.dataset}--{run.system}" for run in EXPERIMENT.matched_runs()]
    figures = [f"<results>/figures/{name}.{suffix}" for name in names for suffix in ("png", "pdf")]
    animated = [
        f"generation/{run.dataset}--{run.system}"
        for run in first_seeds(EXPERIMENT.generating_runs())
    ]
    animated += [f"matches/{run.dataset}--{run.system}" for run in EXPERIMENT.matched_runs()]
    return figures + [f"<results>/figures/{name}.html" for name in animated]


def figure(name, category, **labels):
    """A figure as it stands in the report: with a caption, a category, and labels that tell it from its siblings."""
    caption = f"../report/{name.split('/')[0]}.rst"
    return report(
        f"<results>/figures/{name}.png",
        caption=caption,
        category=category,
        labels=labels,
    )


def per_dataset(kind, category):
    """One figure of a kind for each data set."""
    return [
        figure(f"{kind}/{dataset}", category, **{"data set": dataset})
        for dataset in EXPERIMENT.datasets
    ]


def beside(kind, names=EXPERIMENT.datasets):
    """The PDF files beside the figures of a kind."""
    return [f"<results>/figures/{kind}/{name}.pdf" for name in names]


def file_options(wildcards, input):
    """The inputs as options of a script."""
    return " ".join(
        option(name, [files] if isinstance(files, str) else files) for name, files in input.items()
    )


def folder(wildcards, output):
    """The folder that a rule's figures go to."""
    return Path(output.png[0]).parent


def lstm_runs():
    """Trained runs of LSTM encoders whose decoders predict pixels: what they have learnt can be shown."""
    systems = {
        name
        for name, s in SYSTEMS.items()
        if (s.model, s.objective) == ("lstm_encoder", "lstm_composite")
    }
    return [run for run in EXPERIMENT.trained_runs() if run.system in systems]


def run_files(wildcards, seed):
    """Weights and record of a run."""
    return [
        f"<results>/runs/{wildcards.dataset}/{wildcards.system}/seed{seed}/{name}"
        for name in ("weights.pt", "run.json")
    ]


def embedding_stores():
    """Activations on their own data set of each system's first run, and of the controls."""
    controls = [run for run in EXPERIMENT.untrained_runs() if not SYSTEMS[run.system].seeds]
    runs = first_seeds(EXPERIMENT.trained_runs()) + controls
    return [f"<results>/activations/{run.dataset}/{run.stem}.zarr" for run in runs]
