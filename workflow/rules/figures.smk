# Which figures there are, and what their rules in report.smk share.

import shlex

MEASURES = config["similarity"]["measures"]
PER_DATASET = ("flow", "learning", "probes", "confusion", "projections")
OVERVIEWS = ["clips", "accuracy", "cost"] + ["transfer"] * EXPERIMENT.transfer + ["controls"] * bool(config["controls"])
LAYER_MEASURE = MEASURES[0]  # the one that is drawn layer by layer

TEST_CLIPS = collect("<results>/datasets/{dataset}/test.h5", dataset=EXPERIMENT.datasets)
FAMILY_OPTION = f"--families {shlex.quote(json.dumps(FAMILIES))}"
SET_OPTION = option("datasets", EXPERIMENT.datasets)


def report_targets():
    """All figures of the report."""
    names = OVERVIEWS + [f"{kind}/{dataset}" for kind in PER_DATASET for dataset in EXPERIMENT.datasets]
    names += [f"similarity/{dataset}--{measure}" for dataset in EXPERIMENT.datasets for measure in MEASURES]
    names += [f"layers/{dataset}--{LAYER_MEASURE}" for dataset in EXPERIMENT.datasets]
    names += [f"generation/{run.dataset}--{run.system}" for run in first_seeds(drawing_runs())]
    names += [f"detection/{run.dataset}--{run.system}" for run in first_seeds(EXPERIMENT.detection_runs())]
    return [f"<results>/figures/{name}.{suffix}" for name in names for suffix in ("png", "pdf")]


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
    return [figure(f"{kind}/{dataset}", category, **{"data set": dataset}) for dataset in EXPERIMENT.datasets]


def beside(kind, names=EXPERIMENT.datasets):
    """The PDF files beside the figures of a kind."""
    return [f"<results>/figures/{kind}/{name}.pdf" for name in names]


def file_options(wildcards, input):
    """The inputs as options of a script."""
    return " ".join(option(name, [files] if isinstance(files, str) else files) for name, files in input.items())


def folder(wildcards, output):
    """The folder that a rule's figures go to."""
    return Path(output.png[0]).parent


def first_seeds(runs):
    """Of each data set and system the run with the first seed."""
    first = {}
    for run in runs:
        first.setdefault((run.dataset, run.system), run)
    return list(first.values())


def embedding_stores():
    """Activations on their own data set of each system's first run, and of the controls."""
    controls = [run for run in EXPERIMENT.untrained_runs() if not SYSTEMS[run.system].seeds]
    runs = first_seeds(EXPERIMENT.trained_runs()) + controls
    return [f"<results>/activations/{run.dataset}/{run.stem}.zarr" for run in runs]
