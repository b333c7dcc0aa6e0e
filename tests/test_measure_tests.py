"""The battery passes a measure that behaves and fails ones that do not, on data in which everything
is planted.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from studies.measure_tests import battery, page, statistics, trials
from studies.measure_tests.changes import PENALTY, change, component_scores, probe_accuracies
from studies.measure_tests.material import Layer, Material, check_runs, distinct
from vidrep import similarity
from vidrep.config import check, complete
from vidrep.report.figures import FIGURES
from vidrep.result_tables import write_rows
from vidrep.runs import Run
from vidrep.similarity import summarise
from vidrep.similarity.measure import Measure, Prepared, cells
from vidrep.similarity.verdicts import (
    FAILED,
    NEEDED_COLUMNS,
    PASSED,
    UNDECIDED,
    UNDEFINED,
    Verdict,
    read_verdicts,
    warning,
)

N = 120
SYSTEMS = ("one", "two", "three")
SEEDS = (0, 1, 2, 3)
DEPTH = ("first", "second", "embedding")
CONFIG = {
    "experiment": "planted",
    "seed": 0,
    "digits": {"kind": "sklearn"},
    "video": {"frames": 8, "size_px": 16, "patch_px": 8},
    "clips": {"train": 200, "validation": 10, "test": N},
    "systems": [{"name": name, "seeds": list(SEEDS)} for name in SYSTEMS],
    "activations": {"clips": N, "fit_clips": 200},
}


def planted(seed: int = 0) -> Material:
    """Runs whose layers are turned and noisy versions of a matrix that belongs to system and layer.

    How noisy depends on the run, and noise stands for error: the noisier two runs of a system are,
    the less they answer alike.
    """
    rng = np.random.default_rng(seed)
    layers = []
    series = []
    answers = {}
    truth = rng.integers(2, size=(N, 4)) > 0  # (clips, classes)
    labels = rng.integers(2, size=(200, 4)) > 0
    for system in SYSTEMS:
        believed = truth ^ (rng.random(truth.shape) < 0.2)  # every system has errors of its own
        cores = {name: rng.normal(size=(N, 12)) * np.linspace(2, 0.3, 12) for name in DEPTH}
        for k in SEEDS:
            noise = 0.1 + 0.25 * k
            for name in DEPTH:
                turn = np.linalg.qr(rng.normal(size=(12, 12)))[0]
                x = (cores[name] + noise * rng.normal(size=(N, 12))) @ turn * (1 + k)
                layers.append(Layer(system, k, name, summarise(x)))
            answers[system, k] = believed ^ (rng.random(truth.shape) < 0.02 + 0.08 * k)
            run = Run("planted", system, k)
            for name in DEPTH[-2:] if system == "one" else DEPTH[-1:]:
                fit, test = probed(rng, labels, truth)
                series.append(change(fit, test, labels, truth, run=run, layer=name, seed=0))
    return Material(layers, series, answers, seed=0)


def probed(rng, labels: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features whose variance is what tells the classes: the leading components carry them."""
    axes = np.linalg.qr(rng.normal(size=(16, 16)))[0]

    def features(present):
        told = np.concatenate([3 * present - 1.5, np.zeros((len(present), 12))], axis=1)
        noise = 0.4 * rng.normal(size=(len(present), 16))
        return (told + noise) @ axes

    return features(labels), features(truth)


@pytest.fixture(scope="module")
def material() -> Material:
    return planted()


def verdicts(material: Material, measure: str) -> dict[str, str]:
    return {
        trial.name: trials.verdict(trial, found)
        for trial, found in battery.judge(material, measure)
    }


def made(name: str, value) -> Measure:
    """A measure from a function of two kernels."""

    def cross(rows, columns, options):
        values = [[value(a.data, b.data) for b in columns] for a in rows]
        return cells(np.array(values), rows, columns)

    return Measure(
        name,
        title=name,
        direction="similarity",
        range=(0.0, 1.0),
        identity=1.0,
        invariances=frozenset(),
        cost="1",
        source="-",
        prepare=lambda kernel, options: Prepared("", None, kernel),
        cross=cross,
    )


@pytest.fixture
def bad_measures(monkeypatch):
    rng = np.random.default_rng(0)
    made_up = [
        made("noise", lambda a, b: rng.random()),
        made("constant", lambda a, b: 1.0),
        made("nothing", lambda a, b: np.nan),
        made("scale", lambda a, b: min(a.scale, b.scale) / max(a.scale, b.scale)),
        made("opposite", lambda a, b: -similarity.compare(a, b, "cka_linear")),
    ]
    for measure in made_up:
        module = f"vidrep.measures.{measure.name}"
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(MEASURE=measure))


@pytest.mark.parametrize("measure", ["cka_linear", "procrustes"])
def test_a_measure_that_behaves_passes(measure, material):
    found = verdicts(material, measure)
    assert set(found) == {trial.name for trial in trials.TRIALS}
    assert {name: verdict for name, verdict in found.items() if verdict != PASSED} == {}


def test_measures_that_do_not_behave_fail(bad_measures, material):
    assert set(verdicts(material, "nothing").values()) == {UNDEFINED}
    assert PASSED not in verdicts(material, "constant").values()
    assert set(verdicts(material, "opposite").values()) == {FAILED}
    noise = verdicts(material, "noise")
    for name in (
        "layer_retrieval",
        "seed_and_layer",
        "components_accuracy",
        "components_monotone",
        "noise_monotone",
    ):
        assert noise[name] == FAILED, name
    by_size = verdicts(material, "scale")  # seeds differ in scale, layers and systems do not
    assert PASSED not in [
        by_size[name] for name in ("layer_retrieval", "seed_and_layer", "seed_and_system")
    ]
    assert by_size["components_monotone"] == PASSED


def test_table_and_page_name_the_measures_that_failed(bad_measures, material):
    rows = battery.judge_all(material, "planted", ["cka_linear", "constant"], lambda line: None)
    assert len(rows) == 2 * len(trials.TRIALS)
    assert {len(row) for row in rows} == {len(battery.TRIAL_COLUMNS)}
    text = page.page(rows, CONFIG)
    failed = next(line for line in text.splitlines() if line.startswith("**Failed:**"))
    assert "constant (layer_retrieval" in failed and "cka_linear" not in failed
    assert "**Passed everything:** cka_linear." in text


def test_the_same_material_gives_the_same_rows(material):
    first = battery.judge_all(material, "planted", ["rsa"], lambda line: None)
    second = battery.judge_all(planted(), "planted", ["rsa"], lambda line: None)
    assert first == second


@pytest.mark.slow
def test_every_registered_measure_is_judged(material):
    three_seeds = [layer for layer in material.layers if layer.seed < 3]
    few = Material(three_seeds, material.series[:2], material.answers, seed=0)
    expected = [trial.name for trial in trials.TRIALS if trial.name != "answers_within"]
    for measure in similarity.measures():
        judged = [trial.name for trial, _ in battery.judge(few, measure)]
        assert judged == expected, measure


@pytest.mark.parametrize("measure", ["procrustes", "rsa", "linear_r2"])
def test_distances_to_versions_are_those_of_the_library(measure, material):
    first, *others = [layer.kernel for layer in material.layers[:4]]
    sign = 1 if measure == "procrustes" else -1
    expected = [
        np.mean([similarity.compare(first, x, measure), similarity.compare(x, first, measure)])
        for x in others
    ]
    np.testing.assert_allclose(
        sign * battery.distances(first, others, measure), expected, atol=1e-9
    )


def test_retrieval_by_hand():
    runs = [0, 0, 1, 1]
    names = ["a", "b", "a", "b"]
    likeness = np.array(
        [[1, 0, 0.9, 0.2], [0, 1, 0.6, 0.6], [0.9, 0.6, 1, 0], [0.2, 0.6, 0, 1]], float
    )
    np.testing.assert_allclose(statistics.retrieved(likeness, runs, names), [1, 0.5, 1, 1])
    likeness[0, 2:] = np.nan
    assert statistics.retrieved(likeness, runs, names)[0] == 0


def test_auc_and_rank_correlation_against_scipy():
    from scipy.stats import mannwhitneyu, spearmanr

    rng = np.random.default_rng(2)
    a = (rng.normal(size=30) + 0.5).round(1)
    b = rng.normal(size=40).round(1)
    assert statistics.auc(a, b) == pytest.approx(mannwhitneyu(a, b).statistic / 1200)
    assert statistics.rank_correlation(a, b[:30]) == pytest.approx(spearmanr(a, b[:30]).statistic)
    a[:10] = np.nan
    assert statistics.auc(a, b) == pytest.approx(mannwhitneyu(a[10:], b).statistic / 800)
    a[:16] = np.nan
    assert np.isnan(statistics.auc(a, b)) and np.isnan(statistics.rank_correlation(a, b[:30]))
    assert statistics.rank_correlation(np.ones(5), np.arange(5.0)) == 0


def test_a_wide_p_value_withholds_a_pass():
    trial = trials.BY_NAME["answers"]
    interval = (0.3, 0.1, 0.5, 10, 0.0)
    assert trials.verdict(trial, trials.Outcome(*interval, p=0.01)) == PASSED
    assert trials.verdict(trial, trials.Outcome(*interval, p=0.2)) == UNDECIDED
    assert trials.verdict(trial, trials.Outcome(-0.3, -0.5, -0.1, 10, 0.0, p=0.9)) == FAILED


def test_intervals():
    from scipy.stats import binomtest, t

    hits = np.array([1, 1, 1, 0, 1, 0, 1, 1.0])
    assert (found := trials.of_share(hits, 0.5)).value == 0.75
    assert (found.low, found.high) == pytest.approx(
        tuple(binomtest(6, 8).proportion_ci(method="wilson")), abs=1e-6
    )
    values = np.array([0.1, 0.4, 0.3, 0.2])  # of a mean, the jackknife is Student's interval
    left_out = (values.sum() - values) / 3
    found = trials.of_replicates(values.mean(), left_out, trials.BY_NAME["answers"], 6, 0.0)
    assert (found.low, found.high) == pytest.approx(
        t.interval(0.95, 3, 0.25, values.std(ddof=1) / 2)
    )


def test_removed_components_are_those_of_the_fitting_clips():
    rng = np.random.default_rng(4)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    fit, test = (rng.normal(size=(50, 6)) * [9, 7, 5, 3, 2, 1] @ axes + 3 for _ in range(2))
    scores, shown = component_scores(fit, test)
    assert np.all(np.diff(scores.var(axis=0)) < 0) and abs(scores.mean()) < 1e-9
    np.testing.assert_allclose(
        shown @ shown.T, (test - fit.mean(0)) @ (test - fit.mean(0)).T, atol=1e-8
    )


def test_probes_on_parts_are_those_fitted_on_the_parts_alone():
    from sklearn.linear_model import Ridge
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(6)
    labels = rng.random((80, 3)) < 0.3
    truth = rng.random((60, 3)) < 0.3
    fit, test = component_scores(
        *(y @ rng.normal(size=(3, 9)) + rng.normal(size=(len(y), 9)) for y in (labels, truth))
    )
    part = slice(2, 7)
    expected = []
    penalty = PENALTY * (fit**2).sum(axis=0).mean()
    for index in range(3):
        ridge = Ridge(alpha=penalty, fit_intercept=True).fit(fit[:, part], labels[:, index])
        scores = ridge.predict(fit[:, part])
        shown = ridge.predict(test[:, part])
        middle = (scores[labels[:, index]].mean() + scores[~labels[:, index]].mean()) / 2
        expected.append(balanced_accuracy_score(truth[:, index], shown > middle))
    assert probe_accuracies(fit, labels, test, truth, [slice(None), part])[1] == pytest.approx(
        np.mean(expected)
    )


def test_losing_what_tells_the_classes_costs_accuracy(material):
    series = material.series[0]
    leading = series.losses[: len(series.leading)]
    trailing = series.losses[len(series.leading) :]
    assert leading[-1] > 0.3 and np.abs(trailing[:3]).max() < 0.05


def test_layers_that_repeat_another_are_left_out():
    x = np.random.default_rng(1).normal(size=(20, 4))
    assert list(
        distinct(
            {"map": summarise(x), "other": summarise(x**2), "embedding": summarise(x[:, ::-1])}
        )
    ) == [
        "other",
        "embedding",
    ]


@pytest.mark.parametrize("runs", [[("one", 3)], [("one", 3), ("two", 2)], [("one", 4), ("two", 3)]])
def test_too_few_runs_are_refused(runs):
    with pytest.raises(
        ValueError,
        match=(
            r"config key systems: .* at least two systems with the same three seeds .* one with"
            r" seeds"
        ),
    ):
        check_runs(
            [Run("digits_only", name, seed) for name, count in runs for seed in range(count)]
        )


def test_bars_stand_between_chance_and_the_best():
    for trial in trials.TRIALS:
        assert trial.limits[0] < trial.bar < trial.limits[1]
    assert len(trials.BY_NAME) == len(trials.TRIALS)


MARKS = {"": PASSED, "✗": FAILED, "?": UNDECIDED}


def documented_outcome():
    """The table of docs/comparison_sanity.md: measure -> test -> verdict."""
    text = (Path(__file__).parent.parent / "docs" / "comparison_sanity.md").read_text()
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.split("## Outcome")[1].splitlines()
        if line[:1] == "|"
    ]
    tests = lines[0][1:]
    found = {}
    for measure, *entries in lines[2:]:
        if not measure.startswith("*"):
            marks = [cell.lstrip("-.0123456789 ") for cell in entries]
            found[measure] = {test: MARKS[mark] for test, mark in zip(tests, marks, strict=True)}
    return found


def write_verdicts(path, found, dataset="digits_only"):
    rows = [
        (dataset, measure, test, "0.5", word)
        for measure, words in found.items()
        for test, word in words.items()
    ]
    write_rows(path, ("evaluated_on", "measure", "test", "value", "verdict"), rows)
    return path


def test_figures_warn_of_what_the_documentation_reports(tmp_path):
    found = documented_outcome()
    assert set(found) <= set(similarity.measures()) and len(found) >= 15
    verdicts = read_verdicts(write_verdicts(tmp_path / "verdicts.csv", found))
    all_but_one = [name for name in trials.BY_NAME if name != "answers_within"]
    assert {name: verdict.failed for name, verdict in verdicts.items() if verdict.failed} == {
        "cca_mean": all_but_one,
        "pwcca": all_but_one,
        "svcca": ["layer_retrieval", "seed_and_layer", "seed_and_system", "answers"],
        "unit_correlation": [
            "seed_and_system",
            "components_accuracy",
            "components_monotone",
            "answers",
        ],
    }
    assert warning(verdicts, "procrustes") == ""
    assert warning(verdicts, "procrustes", "svcca") == (
        " svcca failed 4 of 8 sanity tests on our networks: layer_retrieval, seed_and_layer,"
        " seed_and_system, answers."
    )


@pytest.mark.parametrize("path", [None, "missing.csv"])
def test_measures_without_a_table_are_not_yet_judged(path, tmp_path):
    verdicts = read_verdicts(path and tmp_path / path)
    assert verdicts == {}
    assert warning(verdicts, "rsa", "svcca") == (
        " Not yet judged by sanity tests of measures: rsa, svcca."
    )


def test_a_test_failed_on_one_data_set_is_failed(tmp_path):
    first = write_verdicts(tmp_path / "a.csv", {"rsa": {"one": PASSED, "two": UNDEFINED}})
    second = write_verdicts(tmp_path / "b.csv", {"rsa": {"one": FAILED, "two": FAILED}}, "other")
    first.write_text(first.read_text() + "".join(second.read_text().splitlines(True)[1:]))
    assert read_verdicts(first)["rsa"] == Verdict(asked=["one", "two"], failed=["two", "one"])


def test_a_table_of_something_else_is_refused(tmp_path):
    write_rows(tmp_path / "other.csv", ("measure", "value"), [("rsa", 1)])
    with pytest.raises(ValueError, match=r"other\.csv: no column evaluated_on, test, verdict"):
        read_verdicts(tmp_path / "other.csv")


def test_the_battery_writes_what_figures_read(material):
    rows = battery.judge_all(material, "digits_only", ["cka_linear"], lambda line: None)
    assert set(NEEDED_COLUMNS) <= set(battery.TRIAL_COLUMNS)
    assert {row[-1] for row in rows} <= {PASSED, FAILED, UNDECIDED, UNDEFINED}


def test_figures_read_the_table_where_it_exists(tmp_path):
    path = tmp_path / "measure_tests.csv"
    experiment = check(complete({"similarity": {"verdicts": str(path)}}))
    figures = [figure for figure in FIGURES if "verdicts" in figure.inputs]
    of_measures = [figure for figure in figures if callable(figure.inputs["verdicts"])]
    assert len(of_measures) >= 7
    for found in ([], [str(path)]):
        for figure in of_measures:
            items = figure.of(experiment)
            files = figure.input_files(experiment, items)
            assert files["verdicts"] == found, figure.name
            told = " ".join(figure.arguments(experiment, items, files))
            assert (f"--verdicts {path}" in told) == bool(found), figure.name
        write_verdicts(path, {"rsa": {"answers": FAILED}})
