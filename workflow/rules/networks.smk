# What jobs that run networks are given: splits as a system is fed them, clips rendered in training, sets that frames are generated of.

import shlex
from itertools import repeat

from vidrep.splits import SplitFiles
from vidrep.systems import flow_inputs

ENDLESS = "vidrep.training.endless:endless_clips"


def fed_flows(system):
    """The flow method of each flow input of a system."""
    return flow_inputs(SYSTEMS[system].inputs, SYSTEMS[system].flow)


def split_files(system, sets, split):
    """The files of a split of some data sets as a system is fed it: of each its clips, then its flow."""
    files = []
    for name in sets:
        files.append(f"<results>/datasets/{name}/{split}.h5")
        files += [
            f"<results>/flow/{name}/{split}/{method}.zarr" for method in fed_flows(system).values()
        ]
    return files


def split_input(split, sets, met_by=repeat("{system}")):
    """These files as an input function: of each of `sets` as the system that meets it is fed it.

    Names may hold wildcards.
    """

    def files(wildcards):
        found = []
        for name, system in zip(filled(sets, wildcards), filled_each(met_by, wildcards)):
            found += split_files(system, [name], split)
        return found

    return files


def split_values(wildcards, input, split, met_by=repeat("{system}")):
    """A split of each data set as a script takes it, made of the files of the input of that name."""
    files = list(input[split])
    values = []
    for system in filled_each(met_by, wildcards):
        if not files:
            break
        kinds = ["clips", *fed_flows(system)]
        of_set = dict(zip(kinds, files))
        values.append(str(SplitFiles(**of_set)))
        files = files[len(kinds) :]
    return values


def endless_set(wildcards):
    """The data set that a trained run renders anew in every epoch; none where its clips are fixed."""
    dataset = wildcards.get("dataset")
    return SETS[dataset] if dataset and SYSTEMS[wildcards.system].recipe["endless"] else None


def endless_digits(wildcards):
    """The digits that these clips show."""
    return digits_of(wildcards) if endless_set(wildcards) else []


def endless_options(wildcards, input):
    """What the script needs to render them."""
    chosen = endless_set(wildcards)
    if chosen is None:
        return ""
    return (
        f"--endless {shlex.quote(json.dumps(chosen.definition()))} {option('digits', input.digits)}"
    )


def training_code(jobs, wildcards):
    """Digest of the code of a run, and of what renders its clips."""
    chosen = endless_set(wildcards)
    if chosen is None:
        return codes("train", jobs, wildcards)
    renderer = source_file(KINDS[chosen.kind].renderer, {}, "renderer")
    return system_code("train", wildcards.system, source_file(ENDLESS, {}, "maker"), renderer)


def generated(runs, wildcards):
    """The runs of a job, each with the data sets whose frames it generates, its own first."""
    return [(run, EXPERIMENT.evaluation_sets(run)) for run in runs or [run_of(wildcards)]]


def generation_tests(runs, wildcards):
    """The test clips of these data sets, as each run is fed them."""
    found = []
    for run, sets in generated(runs, wildcards):
        found += split_files(run.system, sets, "test")
    return found


def generation_sets(runs, wildcards):
    """The names of these data sets."""
    return [name for _, sets in generated(runs, wildcards) for name in sets]


def true_flows(runs, wildcards):
    """The true flow of each run's own test clips, where it is known."""
    return [
        f"<results>/flow/{run.dataset}/test/true.zarr"
        for run, _ in generated(runs, wildcards)
        if EXPERIMENT.sets[run.dataset].has_flow("true")
    ]


def true_flow_or_none(runs, wildcards, input):
    """The same as the script takes them, one a run."""
    files = iter(input.true_flow)
    known = [EXPERIMENT.sets[run.dataset].has_flow("true") for run, _ in generated(runs, wildcards)]
    return [next(files) if one else "none" for one in known]
