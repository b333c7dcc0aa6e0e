# Figures, as vidrep/report/figures.py declares them: one job draws all files of a figure, since to
# start matplotlib takes longer than to draw, but those of single runs, which have a job each.

from functools import partial

from vidrep.report.declaration import report_labels
from vidrep.report.figures import FIGURES
from vidrep.report.selection import titles

# Snakemake wants the caption of a figure in a file; workflow/report/figure.rst prints these.
config["captions"] = {figure.name: figure.caption for figure in FIGURES}

DRAWN = [figure for figure in FIGURES if figure.of(EXPERIMENT)]


def report_targets():
    """All files of all figures."""
    return [path for figure in DRAWN for path in figure.files(EXPERIMENT)]


def items_of(figure, wildcards):
    """What the files of a job are of."""
    if figure.job_per_file:
        return [tuple(wildcards[key] for key in figure.per)]
    return figure.of(EXPERIMENT)


def figure_inputs(figure, wildcards):
    """The files that a job reads, by option of the script."""
    return figure.input_files(EXPERIMENT, items_of(figure, wildcards))


def figure_labels(figure, item, wildcards):
    """What tells a file from the others of its chapter in the report."""
    if figure.job_per_file:
        (item,) = items_of(figure, wildcards)
    return report_labels(FIGURES, figure, item, titles(EXPERIMENT))


def figure_outputs(figure):
    """The files that a job writes; the first of each figure stands in the report."""
    items = [figure.wildcards] if figure.job_per_file else figure.of(EXPERIMENT)
    outputs = []
    for item in items:
        shown, *others = figure.paths(item)
        marked = report(
            shown,
            caption="../report/figure.rst",
            category=figure.numbered_chapter(FIGURES),
            labels=partial(figure_labels, figure, item),
        )
        outputs += [marked, *others]
    return outputs


def figure_arguments(figure, wildcards, input):
    """The command line of a job, but for where its files go."""
    return figure.arguments(EXPERIMENT, items_of(figure, wildcards), input)


def figure_folder(wildcards, output):
    """The folder of all figures."""
    return next(folder for folder in Path(output[0]).parents if folder.name == "figures")


def figure_code(figure, wildcards):
    """Digest of the script, of the figure's module, and of the network that it loads, if any."""
    if figure.runs_network:
        return system_code("plot", wildcards.system, figure.source)
    return code_version(script("plot"), figure.source)


for figure in DRAWN:

    rule:
        name:
            f"plot_{figure.name}"
        input:
            unpack(partial(figure_inputs, figure)),
        output:
            figure_outputs(figure),
        log:
            f"<logs>/figures/{figure.job_name}.log",
        benchmark:
            f"<benchmarks>/figures/{figure.job_name}.tsv"
        conda:
            "../../envs/vidrep.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(30),
        params:
            figure=figure.name,
            arguments=partial(figure_arguments, figure),
            folder=figure_folder,
            code=partial(figure_code, figure),
        message:
            f"Figure: {figure.title}"
        shell:
            "printf '%s\\n' {params.arguments:q} | python $VIDREP_SCRIPTS/plot.py {params.figure} @/dev/stdin"
            " --output {params.folder} > {log} 2>&1"
