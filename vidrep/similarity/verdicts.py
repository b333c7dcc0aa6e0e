"""What the tests of measures found, for the small print of figures.

``snakemake sanity`` puts every measure to the tests of ``studies/measure_tests`` and writes a
table with a row for each data set, measure and test. This module reads that table. It imports
nothing heavy, so that figures can use it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PASSED = "passed"
FAILED = "failed"
UNDECIDED = "undecided"
UNDEFINED = "undefined"  # no value for most of what the test asks: no pass
NEEDED_COLUMNS = ("evaluated_on", "measure", "test", "verdict")  # the table may have more


@dataclass
class Verdict:
    """What the tests found of one measure, over all data sets on which it was tested.

    Attributes:
        asked: names of the tests, in the order of the table.
        failed: those of them that the measure failed, or has no value in, on some data set.
    """

    asked: list[str]
    failed: list[str]


def read_verdicts(path: Path | str | None = None) -> dict[str, Verdict]:
    """The verdict on each measure that has been tested.

    Args:
        path: the table; None, or a file that does not exist, means that nothing is judged yet.

    Raises:
        ValueError: the file is no such table.
    """
    if path is None or not Path(path).is_file():
        return {}
    verdicts: dict[str, Verdict] = {}
    with open(path, newline="") as file:
        table = csv.DictReader(file)
        missing = [name for name in NEEDED_COLUMNS if name not in (table.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: no column {', '.join(missing)}; give a table of the tests")
        for row in table:
            verdict = verdicts.setdefault(row["measure"], Verdict(asked=[], failed=[]))
            test = row["test"]
            if test not in verdict.asked:
                verdict.asked.append(test)
            if row["verdict"] in (FAILED, UNDEFINED) and test not in verdict.failed:
                verdict.failed.append(test)
    return verdicts


def warning(verdicts: Mapping[str, Verdict], *measures: str) -> str:
    """What the reader of a figure has to know of its measures, for the small print.

    The sentences begin with a space. There is none for measures that were tested and failed
    nothing.
    """
    sentences = []
    for measure in measures:
        verdict = verdicts.get(measure)
        if verdict and verdict.failed:
            count = f"{len(verdict.failed)} of {len(verdict.asked)}"
            names = ", ".join(verdict.failed)
            sentences.append(f" {measure} failed {count} sanity tests on our networks: {names}.")
    unknown = [measure for measure in measures if measure not in verdicts]
    if unknown:
        names = ", ".join(unknown)
        sentences.append(f" Not yet judged by sanity tests of measures: {names}.")
    return "".join(sentences)
