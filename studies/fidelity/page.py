"""The fidelity page: every claim of every source, expected, measured, holds or fails."""

import importlib
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Sequence

from studies.fidelity import SOURCES, chosen_sources
from studies.fidelity.claim import Claim, Finding, Verdict
from studies.results import NotRun, Results
from vidrep.provenance import git_commit

NOT_RUN = "not run"
ORDER = (*reversed(Verdict), NOT_RUN)  # of verdicts on the page
CLAIM_COLUMNS = (
    "source",
    "number",
    "claim",
    "expected",
    "how",
    "mended",
    "measured",
    "explanation",
    "verdict",
)
UNEXPLAINED = "none known"


def claims(sources: Sequence[str] = ()) -> list[Claim]:
    """All claims of some sources, all by default, source by source."""
    found = []
    for source in chosen_sources(sources):
        found += importlib.import_module(f"studies.fidelity.{source}").CLAIMS
    return found


def judge(claim: Claim, results: Results) -> tuple[str, str]:
    """What was measured, and the verdict."""
    try:
        finding: Finding = claim.measure(results)
    except NotRun as missing:
        return f"not in this experiment: {missing}", NOT_RUN
    return finding.measured, str(finding.verdict)


def judge_all(
    results: Results, report: Callable[[str], None], sources: Sequence[str] = ()
) -> list[tuple]:
    """Rows of ``CLAIM_COLUMNS`` for all claims of some sources, all by default.

    ``report`` receives a line a claim.
    """
    rows = []
    numbers = Counter()
    for claim in claims(sources):
        started = time.monotonic()
        numbers[claim.source] += 1
        number = numbers[claim.source]
        measured, verdict = judge(claim, results)
        explanation = (claim.if_fails or UNEXPLAINED) if verdict == Verdict.FAILS else ""
        head = (claim.source, number, claim.text, claim.expected, claim.how, claim.mended)
        rows.append((*head, measured, explanation, verdict))
        seconds = time.monotonic() - started
        report(f"{claim.source} {number}: {verdict} ({seconds:.1f} s): {claim.text}")
    return rows


def page(rows: list[tuple], setting: str) -> str:
    """The page in Markdown.

    Args:
        rows: of ``judge_all``.
        setting: one paragraph: on what data and at which scale all this was measured.
    """
    counts = Counter(row[-1] for row in rows)
    given = [verdict for verdict in ORDER if counts[verdict]]
    total = ", ".join(f"{counts[verdict]} {verdict}" for verdict in given)
    lines = [
        "# Fidelity",
        "",
        *textwrap.wrap(_INTRODUCTION, 130),
        "",
        setting,
        "",
        f"**{len(rows)} claims: {total}.**",
        "",
    ]
    for source in dict.fromkeys(row[0] for row in rows):
        lines += [f"## {SOURCES[source]}", ""]
        for row in rows:
            if row[0] == source:
                lines += _claim_lines(row)
    return "\n".join(lines)


def _claim_lines(row: tuple) -> list[str]:
    """The lines on one claim."""
    _, number, text, expected, how, mended, measured, explanation, verdict = row
    lines = [
        f"### {number}. {text}: **{verdict}**",
        "",
        f"* expected: {expected}",
        f"* measured: {measured}",
        f"* how: {how}",
    ]
    if mended:
        lines.append(f"* the test was wrong before: {mended}")
    if explanation:
        lines.append(f"* why not: {explanation}")
    return [*lines, ""]


_INTRODUCTION = (
    "What the sources of the systems claim, and what this project's versions of them do at small"
    " scale. A claim that fails stays here and says by how much. Comparisons quote the difference"
    " with its 95 % interval, paired over test clips; between trained networks it holds the"
    " variance between seeds too, pooled over all systems with several seeds, and where no such"
    " system exists the text says that it speaks of these trained runs alone. 'Above' holds where"
    " the interval lies above 0, fails where it excludes a difference that counts (5 points; 2 % of"
    " an error), and is undecided in between. 'Alike' and 'not below' hold where the interval lies"
    " within the margin, fail where it lies beyond, and are not refuted in between: no data can"
    " prove that there is no difference. 'Not converged' stands with a network whose validation"
    " score still rose when its training ended. Classifiers are scored by the most probable of the"
    " label sets that occur unless another readout is named."
)


def setting(config: dict) -> str:
    """The experiment in one paragraph, from its configuration, complete with defaults."""
    video = config["video"]
    clips = config["clips"]
    digits = config["digits"]
    return (
        f"Measured on the experiment `{config['experiment']}`: {digits['kind']} digits, clips of"
        f" {video['frames']} frames and {video['size_px']} x {video['size_px']} px (digits"
        f" {video['patch_px']} px), {clips['train']:,} training, {clips['validation']:,} validation"
        f" and {clips['test']:,} test clips a data set, seed {config['seed']}, narrow presets"
        f" unless a claim says otherwise; code of commit {git_commit()}."
    )
