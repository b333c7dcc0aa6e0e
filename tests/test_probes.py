"""Probes: they read what is linearly there and nothing else, and fit on fitting clips only."""

import numpy as np
import pytest
import zarr
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import LinearSVC

from vidrep.activations.store import LayerWriter, write_labels
from vidrep.probes import svm
from vidrep.probes.svm import Protocol, principal_components, probe_class, probe_layer, probe_store

ONE_C = Protocol((1.0,), 3, None)


def clouds(count: int, gap: float, seed: int, dimensions: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Points of two kinds, ``gap`` standard deviations apart along the first axis."""
    rng = np.random.default_rng(seed)
    present = np.arange(count) % 3 == 0
    points = rng.normal(size=(count, dimensions))
    points[:, 0] += gap * present
    return points, present


def test_separable_classes_are_read_perfectly():
    (fit, fit_present), (test, test_present) = clouds(90, 20, 0), clouds(60, 20, 1)
    result = probe_class(fit, fit_present, test, test_present, ONE_C)
    assert result.balanced_accuracy == 1.0 and result.confusion.tolist() == [[40, 0], [0, 20]]


def test_nothing_is_read_from_noise():
    values = []
    for seed in range(20):
        (fit, present), (test, test_present) = clouds(90, 0, seed), clouds(90, 0, 100 + seed)
        values.append(
            probe_class(
                fit, present, test, test_present, Protocol((0.1, 10.0), 3, None)
            ).balanced_accuracy
        )
    assert abs(np.mean(values) - 0.5) < 0.04  # standard error about 0.05 / sqrt(20)
    assert min(values) < 0.5 < max(values) or set(values) == {0.5}


def test_balanced_accuracy_and_counts_agree():
    (fit, fit_present), (test, test_present) = clouds(120, 1.0, 0), clouds(80, 1.0, 1)
    result = probe_class(fit, fit_present, test, test_present, ONE_C)
    predicted = (
        LinearSVC(C=1.0, dual=False, max_iter=1000, tol=1e-3).fit(fit, fit_present).predict(test)
    )
    expected = [
        [np.sum((test_present == t) & (predicted == p)) for p in (False, True)]
        for t in (False, True)
    ]
    assert (
        result.confusion.tolist() == expected
        and result.confusion.sum() == 80
        and (result.confusion > 0).all()
    )
    recalls = result.confusion.diagonal() / result.confusion.sum(1)
    assert (
        result.balanced_accuracy == pytest.approx(recalls.mean())
        and 0.5 < result.balanced_accuracy < 1
    )


@pytest.mark.parametrize(
    ("fit_count", "test_kind"),
    [(0, "both"), (2, "both"), (20, "all"), (20, "none"), (29, "both")],
    ids=["absent", "rare", "all", "none", "rarely absent"],
)
def test_classes_that_cannot_be_probed_are_nan(fit_count, test_kind):
    rng = np.random.default_rng(0)
    fit_present = np.arange(30) < fit_count
    test_present = {
        "both": np.arange(12) < 5,
        "all": np.ones(12, bool),
        "none": np.zeros(12, bool),
    }[test_kind]
    result = probe_class(
        rng.normal(size=(30, 2)),
        fit_present,
        rng.normal(size=(12, 2)),
        test_present,
        Protocol((0.1, 1.0), 3, None),
    )
    assert (
        np.isnan(result.balanced_accuracy)
        and np.isnan(result.c)
        and result.confusion.tolist() == [[0, 0], [0, 0]]
    )


def scaled_clouds(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features so small that a weak C cannot use them."""
    points, present = clouds(count, 3.0, seed)
    return points * 1e-3, present


def by_hand(fit: np.ndarray, present: np.ndarray, folds: int, c: float) -> float:
    """Cross-validated balanced accuracy with folds that deal out each kind in blocks.

    scikit-learn's unshuffled folds do so too.
    """
    fold = np.empty(len(fit), int)
    for kind in (False, True):
        members = np.flatnonzero(present == kind)
        sizes = [len(part) for part in np.array_split(members, folds)]
        fold[members] = np.repeat(np.arange(folds), sizes)
    scores = []
    for held in range(folds):
        model = LinearSVC(C=c, dual=False, max_iter=1000, tol=1e-3).fit(
            fit[fold != held], present[fold != held]
        )
        scores.append(
            balanced_accuracy_score(present[fold == held], model.predict(fit[fold == held]))
        )
    return float(np.mean(scores))


def test_c_is_chosen_by_cross_validation():
    fit, present = scaled_clouds(90, 0)
    scores = [by_hand(fit, present, 3, c) for c in (1e-4, 1e6)]
    assert scores[1] > scores[0] + 0.2
    result = probe_class(fit, present, *scaled_clouds(60, 1), Protocol((1e-4, 1e6), 3, None))
    assert result.c == 1e6 and result.balanced_accuracy > 0.8
    assert probe_class(fit, present, *scaled_clouds(60, 1), Protocol((1e6, 1e-4), 3, None)).c == 1e6


def test_the_choice_sees_fitting_clips_only():
    """Test clips on which the other C would win do not change the choice."""
    fit, present = scaled_clouds(90, 0)
    test, test_present = scaled_clouds(60, 1)
    protocol = Protocol((1e-4, 1e6), 3, None)
    assert (
        probe_class(fit, present, test, ~test_present, protocol).c
        == probe_class(fit, present, test, test_present, protocol).c
        == 1e6
    )
    assert probe_class(fit, present, test, ~test_present, protocol).balanced_accuracy < 0.2


@pytest.mark.parametrize("features", [6, 40, 300])
def test_components_are_those_of_the_fitting_clips(features):
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(features, features)) * np.linspace(3, 0.1, features)[:, None]
    fit, test = (rng.normal(size=(n, features)) @ mixing + 5 for n in (50, 30))
    projected, test_projected = principal_components(
        fit.astype(np.float32), test.astype(np.float32), 4
    )
    centre = fit.mean(0)
    axes = np.linalg.svd(fit - centre, full_matrices=False)[2][:4]  # (4, features)
    for found, points in ((projected, fit), (test_projected, test)):
        expected = (points - centre) @ axes.T
        signs = np.sign((found * expected).sum(0))
        assert found.dtype == np.float64
        np.testing.assert_allclose(
            found * signs, expected, rtol=1e-4, atol=1e-3 * np.abs(expected).max()
        )
    other = principal_components(fit.astype(np.float32), test[:1].astype(np.float32), 4)
    assert np.array_equal(other[0], projected) and np.allclose(other[1], test_projected[:1])


@pytest.mark.parametrize("count", [None, 5, 8, 100])
def test_few_features_are_kept(count):
    fit = np.random.default_rng(0).normal(size=(8, 5))
    test = np.random.default_rng(1).normal(size=(3, 5))
    kept = principal_components(fit.reshape(8, 5, 1), test.reshape(3, 5, 1), count)
    assert np.array_equal(kept[0], fit) and np.array_equal(kept[1], test)


def test_layers_are_probed_class_by_class():
    (fit, first), (test, test_first) = clouds(90, 20, 0), clouds(60, 20, 1)
    second = fit[:, 1] > 0.3
    test_second = test[:, 1] > 0.3
    labels = np.stack([first, second, np.zeros(90, bool)], 1)
    test_labels = np.stack([test_first, test_second, test_first], 1)
    results = probe_layer(fit, labels, test, test_labels, ONE_C)
    assert (
        results[0].balanced_accuracy == 1.0
        and results[1].balanced_accuracy > 0.9
        and np.isnan(results[2].balanced_accuracy)
    )
    again = probe_layer(fit[:, :, None], labels, test[:, :, None], test_labels, ONE_C)
    assert again[1].balanced_accuracy == results[1].balanced_accuracy


def test_wide_features_give_the_same_answers():
    """With more features than clips the dual problem is solved.

    Padding with zeros must not change the margin's sides.
    """
    (fit, present), (test, test_present) = clouds(60, 4, 0), clouds(60, 4, 1)
    narrow = probe_class(fit, present, test, test_present, ONE_C)
    padded = [np.concatenate([x, np.zeros((60, 100))], 1) for x in (fit, test)]
    wide = probe_class(padded[0], present, padded[1], test_present, ONE_C)
    # another solver, stopped at tolerance 1e-3
    assert abs(wide.balanced_accuracy - narrow.balanced_accuracy) <= 0.03


# --- Files. ---


@pytest.fixture
def make(tmp_path):
    """Stores on data set ``mine`` of two layers, of which the last tells the labels.

    They have 30 test clips and 40 fitting clips.
    """
    rng = np.random.default_rng(0)

    def make(dataset: str) -> str:
        root = zarr.open_group(tmp_path / f"{dataset}.zarr", mode="w")
        for group, count in ((root, 30), (root.create_group("fit"), 40)):
            labels = rng.random((count, 2)) < 0.5
            telling = labels.astype(np.float32) * 8 + rng.normal(size=labels.shape).astype(
                np.float32
            )
            for layer, values in (
                ("early", rng.normal(size=(count, 3)).astype(np.float32)),
                ("last", telling),
            ):
                LayerWriter(group, layer, count, "float16").add(values, values.shape[1:])
            write_labels(group, labels)
        root.attrs.update(
            {
                "dataset": dataset,
                "evaluated_on": "mine",
                "classes": ["a", "b"],
                "layers": ["early", "last"],
            }
        )
        return str(tmp_path / f"{dataset}.zarr")

    return make


def test_stores_are_probed_in_all_layers_where_they_were_made(make):
    rows = probe_store(make("mine"), ONE_C)
    cells = [
        (layer, f"class_{name}", t, p)
        for layer in ("early", "last")
        for name in "ab"
        for t in (0, 1)
        for p in (0, 1)
    ]
    assert [row[:4] for row in rows] == cells
    counts = np.array([row[4] for row in rows]).reshape(4, 2, 2)
    assert (counts.sum(axis=(1, 2)) == 30).all()
    right = np.trace(counts, axis1=1, axis2=2) / 30
    assert (right[2:] > 0.95).all() and (right[:2] < 0.85).all()


def test_only_the_embedding_is_probed_elsewhere(make):
    rows = probe_store(make("theirs"), ONE_C)
    assert list(dict.fromkeys(row[:2] for row in rows)) == [
        ("last", "class_a"),
        ("last", "class_b"),
    ]


def test_the_protocol_is_that_of_the_comparison_framework():
    fitted = svm._svm(*clouds(30, 1, 0), 2.0)
    assert (fitted.C, fitted.max_iter, fitted.tol, fitted.penalty, fitted.loss) == (
        2.0,
        1000,
        1e-3,
        "l2",
        "squared_hinge",
    )


def test_folds_hold_whole_groups_or_there_are_none():
    rng = np.random.default_rng(0)
    present = np.arange(24) % 2 == 0
    fit = rng.standard_normal((24, 3))
    groups = np.repeat(list("abcdef"), 4)
    folds = svm._folds(fit, present, 3, groups)
    assert len(folds) == 3
    for train, held_out in folds:
        assert not set(groups[train]) & set(groups[held_out])
    assert svm._folds(fit, present, 7, groups) == []
    assert svm._folds(fit, np.isin(groups, ["a", "b", "c"]), 6, groups) == []  # one-sided
    assert len(svm._folds(fit, present, 3, None)) == 3
