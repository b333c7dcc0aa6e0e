"""The page of the battery in Markdown: which measures passed what, and which failed."""

from __future__ import annotations

from collections.abc import Sequence

from studies.measure_tests.battery import TRIAL_COLUMNS
from studies.measure_tests.trials import BY_NAME, TRIALS
from vidrep.similarity.verdicts import FAILED, PASSED, UNDECIDED, UNDEFINED

_MARKS = {PASSED: "", FAILED: " ✗", UNDECIDED: " ?", UNDEFINED: "none ✗"}


def page(rows: Sequence[tuple], config: dict) -> str:
    """The page.

    Args:
        rows: of ``judge_all``, for one data set or several.
        config: the experiment's configuration, complete with defaults.
    """
    table = [dict(zip(TRIAL_COLUMNS, row, strict=True)) for row in rows]
    lines = ["# Sanity of the measures", "", _INTRODUCTION, "", _setting(config), ""]
    for dataset in dict.fromkeys(row["evaluated_on"] for row in table):
        lines += _dataset([row for row in table if row["evaluated_on"] == dataset], dataset)
    return "\n".join([*lines, *_explanation()])


def failures(table: Sequence[dict]) -> dict[str, list[str]]:
    """Measure -> the tests that it failed or has no value in, only measures with any."""
    found: dict[str, list[str]] = {}
    for row in table:
        if row["verdict"] in (FAILED, UNDEFINED):
            found.setdefault(row["measure"], []).append(row["test"])
    return found


def _dataset(table: list[dict], dataset: str) -> list[str]:
    """The lines on one data set: values of all measures, then who failed and who passed."""
    asked = {row["test"]: row for row in table}  # chance and bar are the same for all measures
    names = [trial.name for trial in TRIALS if trial.name in asked]
    measures = list(dict.fromkeys(row["measure"] for row in table))
    cells = {(row["measure"], row["test"]): _cell(row) for row in table}
    lines = [f"## {dataset}", "", _line("measure", names), "|---" * (1 + len(names)) + "|"]
    for measure in measures:
        lines.append(_line(measure, [cells[measure, name] for name in names]))
    lines.append(_line("*chance*", [_short(asked[name]["chance"]) for name in names]))
    lines.append(_line("*bar*", [asked[name]["bar"] for name in names]))
    legend = "✗ failed, or no value for most of what was asked; ? undecided; no mark: passed."
    failed = [f"{name} ({', '.join(tests)})" for name, tests in failures(table).items()]
    lines += ["", legend, "", f"**Failed:** {'; '.join(failed) or 'no measure'}.", ""]
    not_passed = {row["measure"] for row in table if row["verdict"] != PASSED}
    passed = [name for name in measures if name not in not_passed]
    return [*lines, f"**Passed everything:** {', '.join(passed) or 'no measure'}.", ""]


def _line(first: str, cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join([first, *cells])} |"


def _cell(row: dict) -> str:
    return f"{_short(row['value'])}{_MARKS[row['verdict']]}"


def _short(number: str) -> str:
    return f"{float(number):.2f}" if number else ""


def _setting(config: dict) -> str:
    """Data and runs in one paragraph."""
    runs = []
    for item in config["systems"]:
        item = item if isinstance(item, dict) else {"name": item}
        seeds = ", ".join(map(str, item.get("seeds", [0])))
        runs.append(f"{item['name']} with seeds {seeds}")
    video = config["video"]
    clips = config["clips"]
    chosen = config["activations"]
    return (
        f"Experiment `{config['experiment']}`, seed {config['seed']}: {config['digits']['kind']}"
        f" digits, clips of {video['frames']} frames, {video['size_px']} x {video['size_px']} px,"
        f" {clips['train']:,} training clips. Runs: {'; '.join(runs)}. Measures compare"
        f" {chosen['clips']:,} test clips; probes are fitted on {chosen['fit_clips']:,}"
        " training clips."
    )


def _explanation() -> list[str]:
    lines = ["## The tests", ""]
    for trial in BY_NAME.values():
        lines.append(
            f"* `{trial.name}`: {trial.question} Value: {trial.how}; passed above {trial.bar:g}. n"
            f" counts {trial.unit}."
        )
    return [*lines, ""]


_INTRODUCTION = """\
A measure of similarity is worth reading if it finds what is known to be alike, tells apart what is
known to differ, and follows changes whose size is known. Every registered measure, with its default
options, faces the same tests. A test passes when the lower end of its 95 % interval lies above a
bar (and a permutation test, where there is one, gives p < 0.05), and fails when the upper end does
not; bars were fixed before the first result was seen. Values with their intervals stand in
`tables/measure_tests.csv`."""
