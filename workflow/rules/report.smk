# Figures, as vidrep/report/figures.py declares them. One job draws a few that read alike, since to start matplotlib takes longer than
# to draw most of them; those of single runs have a job a run.

from functools import partial

from vidrep.files import whole
from vidrep.report.declaration import NEXT_FIGURE, report_labels
from vidrep.report.figures import FIGURES
from vidrep.report.selection import titles

DRAWN = [figure for figure in FIGURES if figure.of(EXPERIMENT)]
# Snakemake reads the caption of a figure from a file, when it makes the report.
CAPTIONS = Path(".snakemake/captions").absolute()
if workflow.is_main_process:
    for figure in DRAWN:
        with whole(CAPTIONS / f"{figure.name}.rst") as caption:
            caption.write_text(figure.caption)

PARTS = {}  # name of a rule: the figures that its jobs draw
for figure in DRAWN:
    PARTS.setdefault(figure.part, []).append(figure)


def report_targets():
    """All files of all figures."""
    return [path for figure in DRAWN for path in figure.files(EXPERIMENT)]


def items_of(figure, wildcards):
    """What the files of a job are of."""
    if figure.job_per_file:
        return [tuple(wildcards[key] for key in figure.per)]
    return figure.of(EXPERIMENT)


def figure_inputs(figures, wildcards):
    """The files that a job reads, by figure and option of the script."""
    found = {}
    for figure in figures:
        files = figure.input_files(EXPERIMENT, items_of(figure, wildcards))
        found |= {f"{figure.name}_{option}": paths for option, paths in files.items()}
    return found


def figure_labels(figure, item, wildcards):
    """What tells a file from the others of its chapter in the report."""
    if figure.job_per_file:
        (item,) = items_of(figure, wildcards)
    return report_labels(FIGURES, figure, item, titles(EXPERIMENT))


def figure_outputs(figures):
    """The files that a job writes; the first of each figure and item stands in the report."""
    outputs = []
    for figure in figures:
        items = [figure.wildcards] if figure.job_per_file else figure.of(EXPERIMENT)
        for item in items:
            shown, *others = figure.paths(item)
            marked = report(
                shown,
                caption=str(CAPTIONS / f"{figure.name}.rst"),
                category=figure.numbered_chapter(FIGURES),
                labels=partial(figure_labels, figure, item),
            )
            outputs += [marked, *others]
    return outputs


def figure_arguments(figures, wildcards, input, output):
    """The command line of a job, one figure after another."""
    folder = next(folder for folder in Path(output[0]).parents if folder.name == "figures")
    words = []
    for figure in figures:
        options = [*figure.inputs, *figure.own_inputs]
        files = {option: input[f"{figure.name}_{option}"] for option in options}
        words += [figure.name, "--output", str(folder)]
        words += figure.arguments(EXPERIMENT, items_of(figure, wildcards), files)
        words.append(NEXT_FIGURE)
    return words[:-1]


def figure_code(figures, wildcards):
    """Digest of the script, of the figures' modules, and of the network that they load, if any."""
    sources = [figure.source for figure in figures]
    if any(figure.runs_network for figure in figures):
        return system_code("plot", wildcards.system, *sources)
    return code_version(script("plot"), *sources)


for part, figures in PARTS.items():

    rule:
        name:
            f"plot_{part}"
        input:
            unpack(partial(figure_inputs, figures)),
        output:
            figure_outputs(figures),
        log:
            f"<logs>/figures/{figures[0].job_name}.log",
        benchmark:
            f"<benchmarks>/figures/{figures[0].job_name}.tsv"
        conda:
            "../../envs/vidrep.yaml"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(60),
        params:
            arguments=partial(figure_arguments, figures),
            code=partial(figure_code, figures),
        message:
            f"Figures: {', '.join(figure.title for figure in figures)}"
        shell:
            "printf '%s\\n' {params.arguments:q} | python $VIDREP_SCRIPTS/plot.py @/dev/stdin > {log} 2>&1"
