"""The fidelity page: scores are read from the tables, comparisons follow Newcombe, failures and
gaps stay visible.
"""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from studies.fidelity import SOURCES, page
from studies.fidelity.claim import (
    Claim,
    Finding,
    all_hold,
    at_least,
    greater,
    share_difference,
)
from studies.results import NotRun, Results, Score
from vidrep.result_tables import write_rows

ROOT = Path(__file__).parent.parent


@pytest.fixture
def results(tmp_path) -> Results:
    """An experiment of one system with two seeds and an untrained baseline, on 50 test clips."""
    head = ("system", "trained_on", "evaluated_on", "seed", "split", "metric", "value")
    rows = [
        ("net", "a", "a", seed, "test", "exact_set", value)
        for seed, value in (("0", 0.5), ("1", 0.7), ("untrained", 0.1))
    ]
    rows += [
        ("net", "a", "b", "0", "test", "exact_set", 0.2),
        ("net", "a", "a", "0", "test_shuffled", "exact_set", 0.3),
    ]
    rows += [("majority_set", "a", "a", "", "test", "exact_set", 0.04)]
    write_rows(tmp_path / "tables" / "accuracy.csv", head, rows)
    for name in "ab":
        (tmp_path / "datasets" / name).mkdir(parents=True)
        with h5py.File(tmp_path / "datasets" / name / "test.h5", "w") as file:
            file["labels"] = np.zeros((50, 10), np.uint8)
    return Results(tmp_path)


def test_scores_are_means_over_trained_seeds(results):
    score = results.score("net", "a")
    assert score.value == pytest.approx(0.6)
    assert score.n == 100
    assert results.score("net@untrained", "a").value == 0.1
    assert results.score("net", "a", on="b").value == 0.2
    assert results.score("net", "a", split="test_shuffled").value == 0.3
    assert results.majority("a").value == 0.04
    for missing in ({"metric": "top1"}, {"split": "test_frozen"}, {"on": "c"}):
        with pytest.raises(NotRun):
            results.score("net", "a", **missing)
    with pytest.raises(NotRun):
        results.history("a", "net")


def test_difference_is_newcombes():
    """The example of Newcombe (1998), table II: 56/70 against 48/80, method 10."""
    value, low, high = share_difference(Score(56 / 70, 70, "a"), Score(48 / 80, 80, "b"))
    assert (round(value, 4), round(low, 4), round(high, 4)) == (0.2, 0.0524, 0.3339)


def test_verdicts_need_the_interval():
    high = Score(0.6, 400, "high")
    middle = Score(0.55, 400, "middle")
    low = Score(0.3, 400, "low")
    assert greater(high, low).holds
    assert not greater(high, middle).holds
    assert not greater(low, high).holds
    assert at_least(high, low).holds
    assert at_least(middle, high).holds
    assert not at_least(low, high).holds
    yes = Finding("yes", True)
    no = Finding("no", False)
    undecided = Finding("open", None)
    assert all_hold([yes, yes]).holds is True
    assert all_hold([yes, undecided]).holds is None
    assert all_hold([undecided, no]).holds is False


def _missing(results):
    raise NotRun("net on c")


def test_every_verdict_is_on_the_page(results, monkeypatch):
    measures = {
        "one": lambda r: Finding("1", True),
        "two": lambda r: Finding("2", False),
        "three": lambda r: Finding("3", None),
    }
    claims = [
        Claim("two_stream", name, "e", "h", measure, "too small")
        for name, measure in measures.items()
    ]
    monkeypatch.setattr(
        page, "claims", lambda sources: [*claims, Claim("two_stream", "four", "e", "h", _missing)]
    )
    rows = page.judge_all(results, lambda line: None)
    assert [row[-1] for row in rows] == ["holds", "fails", "undecided", "not run"]
    assert [row[-2] for row in rows] == ["", "too small", "", ""]
    text = page.page(rows, "setting")
    assert (
        "4 claims: 1 holds, 1 fails, 1 undecided, 1 not run" in text
        and "not in this experiment: net on c" in text
    )
    assert "2. two: **fails**" in text and "* why not: too small" in text


def test_claims_are_complete_and_distinct():
    claims = page.claims()
    assert {claim.source for claim in claims} == set(SOURCES)
    texts = [(claim.source, claim.text) for claim in claims]
    assert len(set(texts)) == len(texts)
    assert all(claim.expected and claim.how for claim in claims)


@pytest.mark.slow
def test_the_script_writes_table_and_page(results):
    """On an experiment that holds next to nothing, every claim that needs a run is reported as not
    run.
    """
    config = {
        "experiment": "tiny",
        "digits": {"kind": "sklearn"},
        "video": {"frames": 16, "size_px": 20, "patch_px": 8},
        "clips": {"train": 1, "validation": 1, "test": 50},
        "seed": 0,
        "fidelity": {"sources": ["capsules", "two_stream"]},
    }
    command = [
        sys.executable,
        "-m",
        "studies.fidelity",
        "--results",
        results.folder,
        "--config",
        json.dumps(config),
    ]
    command += [
        "--table",
        results.folder / "fidelity.csv",
        "--page",
        results.folder / "fidelity.md",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    text = (results.folder / "fidelity.md").read_text()
    assert "not run" in text and "50 test clips" in text
    assert [title for title in SOURCES.values() if title in text] == [
        SOURCES["two_stream"],
        SOURCES["capsules"],
    ]


def test_the_pages_state_the_claims_as_they_are():
    """The pages in docs are written from the claims; who rewords a claim changes them as well."""
    pages = ["fidelity.md", "fidelity_predictive.md"]
    text = "".join((ROOT / "docs" / name).read_text() for name in pages)
    for claim in page.claims():
        assert f". {claim.text}: **" in text, claim.text
        assert f"* expected: {claim.expected}\n" in text, claim.text
        assert f"* how: {claim.how}\n" in text, claim.text
