"""The fidelity page: scores are read clip by clip, comparisons count clips and seeds, lack of power
is no verdict, failures and gaps stay visible.
"""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from studies.fidelity import SOURCES, page
from studies.fidelity.alignment_scores import Measured
from studies.fidelity.alignment_scores import above as measured_above
from studies.fidelity.claim import (
    Claim,
    Finding,
    Verdict,
    all_hold,
    at_least,
    at_most,
    greater,
    within,
)
from studies.fidelity.errors import above
from studies.results import NotRun, Results
from studies.scores import CONSTANT, UNKNOWN, Score, difference, pooled_seed_variance
from vidrep.clip_scores import write_clip_scores
from vidrep.datasets.store import write_clips

ROOT = Path(__file__).parent.parent
CLIPS = 50
HOLDS, FAILS, NOT_REFUTED, UNDECIDED = (
    Verdict.HOLDS,
    Verdict.FAILS,
    Verdict.NOT_REFUTED,
    Verdict.UNDECIDED,
)


def outcomes(share: float, n: int = CLIPS) -> np.ndarray:
    """(n,) of 0 and 1, the first ``share`` of them 1."""
    return (np.arange(n) < round(share * n)).astype(np.float64)


@pytest.fixture
def results(tmp_path) -> Results:
    """An experiment of one system with two seeds and an untrained baseline, on 50 test clips."""
    labels = np.zeros((CLIPS, 10), np.uint8)
    labels[:, 0] = 1
    labels[: CLIPS // 2, 3] = 1

    def write(on: str, seed: str, by_split: dict[str, float]) -> None:
        ids = [f"{on}/test/{i}" for i in range(CLIPS)]
        scores = {split: {"exact_set_map": outcomes(share)} for split, share in by_split.items()}
        path = tmp_path / "clip_scores" / on / f"a--net--seed{seed}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_clip_scores(path, ids, labels, scores)

    write("a", "0", {"test": 0.5, "test_shuffled": 0.3})
    write("a", "1", {"test": 0.7, "test_shuffled": 0.3})
    write("a", "untrained", {"test": 0.1})
    write("b", "0", {"test": 0.2})
    for seed, converged in ((0, True), (1, False)):
        record = tmp_path / "runs" / "a" / "net" / f"seed{seed}" / "run.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"converged": converged}))
    for name, split in product("ab", ("train", "test")):
        path = tmp_path / "datasets" / name / f"{split}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_split(path, name, split, labels)
    return Results(tmp_path)


def write_split(path: Path, name: str, split: str, labels: np.ndarray) -> None:
    """Black clips with labels."""
    clips = np.zeros((len(labels), 2, 4, 4), np.uint8)
    attrs = {
        "dataset": name,
        "split": split,
        "classes": [str(i) for i in range(10)],
        "multi_label": True,
    }
    write_clips(path, {"clips": clips, "labels": labels, "factors": {}}, attrs)


def test_scores_hold_every_clip_of_every_seed(results):
    score = results.score("net", "a")
    assert score.values.shape == (2, CLIPS)
    assert score.value == pytest.approx(0.6)
    assert str(score) == "net a 60.0 % (2 seeds, not converged)"
    assert score.n == CLIPS, "two seeds on the same clips are not twice as many clips"
    assert results.score("net@untrained", "a").value == pytest.approx(0.1)
    assert results.score("net", "a", on="b").value == pytest.approx(0.2)
    assert results.score("net", "a", split="test_shuffled").value == pytest.approx(0.3)
    assert results.majority("a").value == 0.5
    for missing in ({"metric": "top1"}, {"split": "test_frozen"}, {"on": "c"}):
        with pytest.raises(NotRun):
            results.score("net", "a", **missing)
    with pytest.raises(NotRun):
        results.history("b", "net")


def made_up(values, name="net", *, clips="test", seeds=UNKNOWN, is_share=False) -> Score:
    """A score of runs of its own."""
    values = np.atleast_2d(np.asarray(values, dtype=np.float64))
    return Score(values, name, runs=name, clips=clips, seeds=seeds, is_share=is_share)


def test_differences_are_paired_over_clips():
    """Two nets that err on the same clips: the clips' own spread leaves the difference."""
    rng = np.random.default_rng(0)
    hard = rng.normal(10, 5, 200)
    a = made_up(hard + 1 + rng.normal(0, 0.1, 200), "a")
    b = made_up(hard, "b")
    found = difference(a, b)
    error = (a.values - b.values).std(ddof=1) / 200**0.5
    assert found.value == pytest.approx((a.values - b.values).mean())
    assert found.high - found.low == pytest.approx(2 * 1.972 * error, rel=1e-3)
    unpaired = difference(a, made_up(hard, "b", clips="others"))
    assert unpaired.high - unpaired.low > 20 * (found.high - found.low)
    assert not found.seeds_counted
    with pytest.raises(ValueError, match="cannot be paired"):
        difference(a, made_up(hard[:100], "b"))


def test_shares_that_agree_on_every_clip_keep_an_interval():
    a, b = (made_up(outcomes(0.5), name, is_share=True) for name in "ab")
    found = difference(a, b)
    assert found.value == 0
    assert found.low < 0 < found.high


def trained(rng, *, systems: int, runs: int, clips: int, spread: float) -> list[np.ndarray]:
    """Right or wrong (runs, clips) of systems that are equally good but for their seeds."""
    hard = rng.normal(size=clips)
    found = []
    for _ in range(systems):
        luck = rng.normal(0, spread, (runs, 1))
        found.append((hard + luck + rng.normal(0, 0.5, (runs, clips)) > 0).astype(np.float64))
    return found


@pytest.mark.parametrize("runs", [2, 3])
def test_seeds_count_and_equal_systems_are_rarely_told_apart(runs):
    """Of equal systems 5 % are to be called different; by clips alone it is many times as many."""
    rng = np.random.default_rng(runs)
    wrong = {"with seeds": 0, "clips alone": 0}
    experiments = 300
    for _ in range(experiments):
        systems = trained(rng, systems=6, runs=runs, clips=300, spread=0.2)
        pooled = pooled_seed_variance(systems)
        for name, seeds in (("with seeds", pooled), ("clips alone", UNKNOWN)):
            first, second = (
                made_up(systems[i], str(i), seeds=seeds, is_share=True) for i in (0, 1)
            )
            found = difference(first, second)
            wrong[name] += found.low > 0 or found.high < 0
    assert wrong["with seeds"] / experiments < 0.09
    assert wrong["clips alone"] / experiments > 0.3


def test_two_readings_of_the_same_runs_share_their_seeds():
    """Shuffled against intact clips: what both seeds have in common cancels."""
    rng = np.random.default_rng(0)
    values = rng.random((3, 400)) + np.array([[0.0], [3.0], [9.0]])
    intact = made_up(values)
    shuffled = made_up(values - 0.1 - rng.normal(0, 0.01, values.shape))
    found = difference(intact, shuffled)
    assert found.low > 0.09 and found.high < 0.11 and found.seeds_counted


def test_few_seeds_say_nothing_about_seeds():
    assert pooled_seed_variance([np.zeros((2, 10)), np.zeros((1, 10))]) == UNKNOWN
    assert pooled_seed_variance([np.zeros((5, 10))]).freedom == 4


def of_interval(low: float, high: float) -> tuple[Score, Score]:
    """Two shares whose difference has nearly this interval, on very many clips."""
    middle = (low + high) / 2
    n = 100
    half = (high - low) / 2
    noise = np.resize([1.0, -1.0], n)
    wanted = half * n**0.5 / 1.984 * ((n - 1) / n) ** 0.5
    a = made_up(middle + wanted * noise, "a")
    b = Score(np.zeros((1, n)), "b", runs=CONSTANT, clips="test", is_share=False)
    return a, b


@pytest.mark.parametrize(
    ("low", "high", "above_b", "not_below", "not_above", "alike"),
    [
        (0.06, 0.12, HOLDS, HOLDS, FAILS, FAILS),
        (0.01, 0.04, HOLDS, HOLDS, HOLDS, HOLDS),
        (0.01, 0.09, HOLDS, HOLDS, NOT_REFUTED, NOT_REFUTED),
        (-0.02, 0.03, FAILS, HOLDS, HOLDS, HOLDS),
        (-0.04, 0.09, UNDECIDED, HOLDS, NOT_REFUTED, NOT_REFUTED),
        (-0.09, 0.09, UNDECIDED, NOT_REFUTED, NOT_REFUTED, NOT_REFUTED),
        (-0.09, 0.04, FAILS, NOT_REFUTED, HOLDS, NOT_REFUTED),
        (-0.09, -0.01, FAILS, FAILS, HOLDS, NOT_REFUTED),
        (-0.12, -0.06, FAILS, FAILS, HOLDS, FAILS),
    ],
)
def test_verdicts_need_the_interval(low, high, above_b, not_below, not_above, alike):
    a, b = of_interval(low, high)
    found = difference(a, b)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)
    assert greater(a, b, 0.05).verdict == above_b
    assert at_least(a, b, 0.05).verdict == not_below
    assert at_most(a, b, 0.05).verdict == not_above
    assert within(a, b, 0.05).verdict == alike
    # the same from the other side
    assert at_most(b, a, 0.05).verdict == (not_below if not_below != FAILS else turned(low, high))
    assert within(b, a, 0.05).verdict == alike


def turned(low: float, high: float) -> Verdict:
    """At most a margin above, of a difference that is clearly below 0."""
    return FAILS if high < -0.05 else NOT_REFUTED


def test_what_counts_of_an_error_is_a_share_of_it():
    """1 % less is no difference that counts, however sure; 5 % less is."""
    rng = np.random.default_rng(0)
    error = rng.uniform(90, 110, 100)
    assert above(("a", "b"), 1.05 * error, error).verdict == HOLDS
    assert above(("a", "b"), error, 1.05 * error).verdict == FAILS
    noisy = error + rng.normal(0, 1, 100)
    assert within(made_up(noisy), made_up(error, "other")).verdict == HOLDS


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.8, 0.9, HOLDS), (0.3, 0.36, FAILS), (0.3, 0.9, UNDECIDED)],
)
def test_verdicts_on_alignment_need_the_interval(low, high, verdict):
    rival = Measured("rival", 0.35, 0.34, 0.36)
    assert measured_above(Measured("own", (low + high) / 2, low, high), rival).verdict == verdict


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, NOT_REFUTED], NOT_REFUTED),
        ([NOT_REFUTED, UNDECIDED, HOLDS], UNDECIDED),
        ([UNDECIDED, FAILS, HOLDS], FAILS),
    ],
)
def test_of_several_findings_the_worst_counts(given, verdict):
    found = all_hold([Finding(str(i), each) for i, each in enumerate(given)])
    assert found.verdict == verdict
    assert found.measured == "; ".join(map(str, range(len(given))))


def _missing(results):
    raise NotRun("net on c")


def test_every_verdict_is_on_the_page(results, monkeypatch):
    measures = {
        "one": lambda r: Finding("1", HOLDS),
        "two": lambda r: Finding("2", FAILS),
        "three": lambda r: Finding("3", UNDECIDED),
        "five": lambda r: Finding("5", NOT_REFUTED),
    }
    claims = [
        Claim("two_stream", name, "e", "h", measure, "too small", "of the floor")
        for name, measure in measures.items()
    ]
    monkeypatch.setattr(
        page, "claims", lambda sources: [*claims, Claim("two_stream", "four", "e", "h", _missing)]
    )
    rows = page.judge_all(results, lambda line: None)
    assert [row[-1] for row in rows] == ["holds", "fails", "undecided", "not refuted", "not run"]
    assert [row[-2] for row in rows] == ["", "too small", "", "", ""]
    text = page.page(rows, "setting")
    assert (
        "5 claims: 1 holds, 1 not refuted, 1 undecided, 1 fails, 1 not run" in text
        and "not in this experiment: net on c" in text
    )
    assert "2. two: **fails**" in text and "* why not: too small" in text
    assert "* the test was wrong before: of the floor" in text


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
