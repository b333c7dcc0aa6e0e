"""What a figure declares of itself: from this come its rule, its report entry and its command line.

The Snakefile imports this module every time it is parsed, so it imports nothing heavy; the module
that draws a figure is imported by name, when it is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidrep.experiment import Experiment

NEXT_FIGURE = "+"  # stands between the figures on the command line of scripts/plot.py

Item = tuple[str, ...]  # the data set, or data set and system, ..., that one file is of


def once(experiment: Experiment) -> list[Item]:
    """One file for the whole experiment."""
    return [()]


_LABELS = {"dataset": "data set", "system": "system", "measure": "measure"}


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    The module ``vidrep/report/<name>.py`` has a function ``draw`` that takes everything declared
    here by keyword and returns what is drawn: of each of ``inputs`` and ``own_inputs`` the path (or
    the paths, where a function declares them), each of ``settings``, and each of ``per``.

    Attributes:
        name: of the module and of the files.
        title: what people call it.
        chapter: the part of the report that it stands in.
        part: what is drawn by one job, of the rule ``plot_<part>``: figures that read alike, and
            are of the same.
        caption: what to see in it, in reStructuredText.
        inputs: files that are read for every file that is drawn: option to a path, or to a function
            of the experiment that returns a list of paths.
        own_inputs: files that are read for one file that is drawn: option to a path with fields in
            braces, any of ``per`` and ``seed``, the first seed of the system; or to a function that
            takes the experiment and what the file is of and returns a list of paths.
        settings: what else the figure depends on: option to a function of the experiment that
            returns something JSON can express.
        per: what there is a file of: nothing (one file in all), ``("dataset",)``,
            ``("dataset", "measure")``, or ``("dataset", "system")``.
        of: the values of ``per`` for which there are files; an empty list: not in this experiment.
        suffixes: of the files that are written; the first one is shown in the report.
        folder: what the files are called, where it is not ``name``.
        runs_network: does it load networks? Then it also depends on their source.
    """

    name: str
    title: str
    chapter: str
    part: str
    caption: str
    inputs: Mapping[str, str | Callable[[Experiment], list[str]]] = field(default_factory=dict)
    own_inputs: Mapping[str, str | Callable[..., list[str]]] = field(default_factory=dict)
    settings: Mapping[str, Callable[[Experiment], object]] = field(default_factory=dict)
    per: tuple[str, ...] = ()
    of: Callable[[Experiment], list[Item]] = once
    suffixes: tuple[str, ...] = ("png", "pdf")
    folder: str = ""
    runs_network: bool = False

    @property
    def module(self) -> str:
        """The module that draws it."""
        return f"vidrep.report.{self.name}"

    @property
    def source(self) -> Path:
        """The file of that module."""
        return Path(__file__).with_name(f"{self.name}.py")

    @property
    def job_per_file(self) -> bool:
        """Is each file drawn by a job of its own? Those of single runs are."""
        return "system" in self.per

    def stem(self, item: Item) -> str:
        """Path of a file without its suffix, from the folder of all figures."""
        name = self.folder or self.name
        return f"{name}/{'--'.join(item)}" if item else name

    def paths(self, item: Item) -> list[str]:
        """The files that are written for ``item``, the one shown in the report first."""
        return [f"<results>/figures/{self.stem(item)}.{suffix}" for suffix in self.suffixes]

    def files(self, experiment: Experiment) -> list[str]:
        """All files of the figure."""
        return [path for item in self.of(experiment) for path in self.paths(item)]

    @property
    def wildcards(self) -> Item:
        """What a file is of, as wildcards of a rule."""
        return tuple(f"{{{key}}}" for key in self.per)

    @property
    def job_name(self) -> str:
        """What the log of a job is called."""
        if self.job_per_file:
            return f"{self.part}/{'--'.join(self.wildcards)}"
        return self.part

    def numbered_chapter(self, figures: Sequence[Figure]) -> str:
        """The chapter with its place in the report, which sorts chapters by the alphabet."""
        chapters = list(dict.fromkeys(figure.chapter for figure in figures))
        return f"{chapters.index(self.chapter) + 1:02d} {self.chapter}"

    def input_files(self, experiment: Experiment, items: Sequence[Item]) -> dict[str, list[str]]:
        """The files that are read to draw those of ``items``: option to paths."""
        result = {}
        for name, declared in self.inputs.items():
            result[name] = declared(experiment) if callable(declared) else [declared]
        for name in self.own_inputs:
            result[name] = []
            for item in items:
                result[name] += self._own_files(name, experiment, item)
        return result

    def arguments(
        self,
        experiment: Experiment,
        items: Sequence[Item],
        files: Mapping[str, Sequence[str]],
    ) -> list[str]:
        """The options of ``scripts/plot.py`` that draw ``items``, without name and output.

        Args:
            experiment: the experiment.
            items: what is drawn.
            files: ``input_files`` of these items, as they lie on disk.
        """
        words = []
        if self.per:
            words.append("--of")
            words += ["--".join(item) for item in items]
        for name in self.inputs:
            if files[name]:
                words.append(f"--{name}")
                words += files[name]
        for name in self.own_inputs:
            words.append(f"--{name}")
            words += self._assigned(name, experiment, items, iter(files[name]))
        for name, setting in self.settings.items():
            words += [f"--{name}", json.dumps(setting(experiment))]
        return words

    def _own_files(self, name: str, experiment: Experiment, item: Item) -> list[str]:
        declared = self.own_inputs[name]
        if callable(declared):
            return declared(experiment, *item)
        fields = dict(zip(self.per, item, strict=True))
        if "system" in fields:
            fields["seed"] = min(experiment.systems[fields["system"]].seeds, default=0)
        return [declared.format(**fields)]

    def _assigned(
        self,
        name: str,
        experiment: Experiment,
        items: Sequence[Item],
        files: Iterator[str],
    ) -> Iterator[str]:
        """Each of ``files`` behind what it is read for: ``digits_only=<path>``."""
        for item in items:
            for _ in self._own_files(name, experiment, item):
                yield f"{'--'.join(item)}={next(files)}"


def report_labels(
    figures: Sequence[Figure],
    figure: Figure,
    item: Item,
    titles: Mapping[str, str],
) -> dict[str, str]:
    """What tells a file from the others of its chapter in the report.

    Args:
        figures: all of the report.
        figure: the file's.
        item: what the file is of.
        titles: what people call each data set.
    """
    labels = {"figure": figure.title}
    for other in figures:
        if other.chapter == figure.chapter:
            labels |= {_LABELS[key]: "all" for key in other.per}
    for key, value in zip(figure.per, item, strict=True):
        labels[_LABELS[key]] = titles[value] if key == "dataset" else value
    return labels
