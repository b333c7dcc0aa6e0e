"""Functional comparison, against libraries, loops and the runs' own scores.

Stitching is tested by construction.
"""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
import zarr
from scipy.spatial.distance import jensenshannon
from sklearn.linear_model import RidgeCV
from sklearn.metrics import cohen_kappa_score

from vidrep.activations.extract import store_activations
from vidrep.activations.store import read_array, write_ids, write_labels
from vidrep.functional_similarity import agreement as agree
from vidrep.functional_similarity.answers import Answers, EvaluationClips, load_answers
from vidrep.functional_similarity.stitching import Stitcher
from vidrep.functional_similarity.table import FUNCTIONAL_COLUMNS, write_functional_table
from vidrep.objectives.build import build
from vidrep.statistics import RIDGE_PENALTIES

N = 60
FIT = 80
CLASSES = 4


def clips_of(truth, groups=None):
    """Clips of this truth."""
    return EvaluationClips([str(i) for i in range(len(truth))], truth, groups)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def sets(rng):
    """(R, n, classes) answers of four runs, each a noisy copy of the first."""
    first = rng.random((N, CLASSES)) < 0.4
    return np.array([first ^ (rng.random(first.shape) < noise) for noise in (0, 0.05, 0.2, 0.5)])


@pytest.fixture
def equal():
    return np.full((1, N), 1 / N)


def test_agreement_and_kappa(sets, equal):
    given = agree.categories(sets)
    names = [["".join(map(str, row.astype(int))) for row in run] for run in sets]
    for i in range(len(sets)):
        for j in range(len(sets)):
            alike = np.mean([a == b for a, b in zip(names[i], names[j], strict=True)])
            assert agree.agreement(given, equal)[0, i, j] == pytest.approx(alike)
            repaired = np.mean([a == b for a in names[i] for b in names[j]])
            assert agree.chance_agreement(given, equal)[0, i, j] == pytest.approx(repaired)
            assert agree.cohen(given, equal)[0, i, j] == pytest.approx(
                cohen_kappa_score(names[i], names[j])
            )


def test_error_consistency_is_kappa_of_being_right(sets, equal):
    truth = sets[0]
    right = (sets[1:] == truth).all(axis=-1)
    found = agree.error_consistency(right, equal)[0]
    for i in range(3):
        for j in range(3):
            assert found[i, j] == pytest.approx(cohen_kappa_score(right[i], right[j]))
    # always right: nothing is left to chance
    assert np.isnan(agree.error_consistency(np.ones((2, N), dtype=bool), equal)).all()


@pytest.mark.parametrize("multi_label", [False, True])
def test_divergence(multi_label, rng):
    scores = rng.random((3, N, CLASSES))
    scores[0, 0] = [1, 0, 0, 0]
    if not multi_label:
        scores /= scores.sum(axis=-1, keepdims=True)
    found = agree.divergences(scores, multi_label)
    for i, j, clip in [(0, 1, 0), (0, 2, 7), (1, 2, 59), (2, 2, 3)]:
        p = scores[i, clip]
        q = scores[j, clip]
        if multi_label:
            expected = np.mean(
                [
                    jensenshannon([a, 1 - a], [b, 1 - b], base=2) ** 2
                    for a, b in zip(p, q, strict=True)
                ]
            )
        else:
            expected = jensenshannon(p, q, base=2) ** 2
        assert found[i, j, clip] == pytest.approx(np.nan_to_num(expected), abs=1e-12)
    shifted = agree.divergences(scores, multi_label, 5)
    assert shifted[0, 1, N - 1] == pytest.approx(
        agree.divergences(scores[:, [N - 1, 4]], multi_label, 1)[0, 1, 0]
    )


def test_divergence_ends_at_one():
    opposite = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    for multi_label in (False, True):
        np.testing.assert_allclose(
            agree.divergences(opposite, multi_label)[:, :, 0], [[0, 1], [1, 0]]
        )


def test_stitching_is_ridge_with_the_penalty_of_the_smallest_left_out_error(rng):
    fit = rng.standard_normal((FIT, 7))
    test = rng.standard_normal((N, 7))
    target = fit @ rng.standard_normal((7, 5)) + rng.standard_normal((FIT, 5)) + 3
    centred = fit - fit.mean(axis=0)
    penalties = RIDGE_PENALTIES * np.trace(centred @ centred.T) / FIT
    # leave-one-out, one penalty for all targets
    expected = RidgeCV(penalties).fit(fit, target).predict(test)
    np.testing.assert_allclose(Stitcher(fit, test).map(target), expected, atol=1e-8)


def test_features_that_never_change_are_mapped_to_the_mean(rng):
    target = rng.standard_normal((FIT, 3))
    np.testing.assert_allclose(
        Stitcher(np.ones((FIT, 4)), np.ones((N, 4))).map(target)[7], target.mean(axis=0)
    )


@pytest.fixture
def runs(rng):
    """A run, the same run rotated, and one of noise; the head of each; the truth."""
    weight = rng.standard_normal((6, CLASSES))
    test = rng.standard_normal((N, 6))
    fit = rng.standard_normal((FIT, 6))
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    found = {}
    heads = {}
    for name, turn in (
        ("d/one/seed0", np.eye(6)),
        ("d/turned/seed0", rotation),
        ("d/noise/seed0", None),
    ):
        own, train = (
            rng.standard_normal(z.shape) if turn is None else z @ turn for z in (test, fit)
        )
        head = weight if turn is None else turn.T @ weight
        heads[name] = lambda read, head=head: read["all"][:, 0] @ head > 0
        scores = 1 / (1 + np.exp(-own @ head))
        found[name] = Answers(name, scores, scores > 0.5, {"all": (1, 6)}, own, train)
    return found, heads, test @ weight > 0


def read_table(path):
    with open(path, newline="") as file:
        return {(row["run_a"], row["run_b"], row["metric"]): row for row in csv.DictReader(file)}


def test_table(runs, tmp_path):
    found, heads, truth = runs
    clips = clips_of(truth)
    write_functional_table(
        tmp_path / "t.csv", found, ["d/pixels/seed0"], heads, clips, multi_label=True, seed=0
    )
    table = read_table(tmp_path / "t.csv")
    assert len(table) == 4 * 3 + 2 * 9 + 1 and list(next(iter(table.values()))) == list(
        FUNCTIONAL_COLUMNS
    )
    assert table["d/pixels/seed0", "", ""]["flag"] == "no_classes"
    same = {
        metric: table["d/one/seed0", "d/turned/seed0", metric]
        for metric in ("agreement", "kappa", "js_divergence")
    }
    assert [float(row["value"]) for row in same.values()] == pytest.approx([1, 1, 0], abs=1e-9)
    # both always right
    assert table["d/one/seed0", "d/turned/seed0", "error_consistency"]["flag"] == "undefined"
    assert table["d/one/seed0", "d/turned/seed0", "error_consistency"]["value"] == ""
    other = table["d/one/seed0", "d/noise/seed0", "agreement"]
    assert float(other["ci_low"]) < float(other["chance"]) < float(other["ci_high"])
    noise = table["d/one/seed0", "d/noise/seed0", "js_divergence"]
    assert float(noise["value"]) == pytest.approx(float(noise["chance"]), abs=0.05)
    for a, b in (("one", "turned"), ("turned", "one"), ("one", "one")):
        stitched = table[f"d/{a}/seed0", f"d/{b}/seed0", "stitched_accuracy"]
        lost = table[f"d/{a}/seed0", f"d/{b}/seed0", "accuracy_lost"]
        assert float(stitched["value"]) > 0.95 and float(stitched["value"]) + float(
            lost["value"]
        ) == pytest.approx(1)
        assert float(stitched["ci_low"]) < float(stitched["value"]) <= float(stitched["ci_high"])
    assert float(table["d/noise/seed0", "d/one/seed0", "stitched_accuracy"]["value"]) < 0.3
    write_functional_table(
        tmp_path / "again.csv", found, ["d/pixels/seed0"], heads, clips, multi_label=True, seed=0
    )
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "t.csv").read_bytes()


def test_few_clips_have_no_interval(runs, tmp_path):
    found, heads, truth = runs
    few = {
        name: replace(run, scores=run.scores[:9], sets=run.sets[:9], test=run.test[:9])
        for name, run in found.items()
    }
    clips = clips_of(truth[:9])
    write_functional_table(tmp_path / "t.csv", few, [], heads, clips, multi_label=True, seed=0)
    assert {row["ci_low"] for row in read_table(tmp_path / "t.csv").values()} == {""}
    assert {row["flag"] for row in read_table(tmp_path / "t.csv").values()} <= {"", "undefined"}
    clips = clips_of(truth[:9], groups=list("aaabbbccc"))
    write_functional_table(tmp_path / "t.csv", few, [], heads, clips, multi_label=True, seed=0)
    assert "too_few_groups" in {row["flag"] for row in read_table(tmp_path / "t.csv").values()}


CLASSIFIERS = {
    "c3d_narrow": {},
    "two_stream_exact_narrow": {},
    "cnn_lstm_narrow": {},
    "window_lstm_narrow": {},
    "capsules_narrow": {},
    "temporal_coherence_narrow": {},
    "c3d_narrow_multi": {"objective": "multi_task", "objective_params": {"tasks": ["labels"]}},
}


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_stored_answers_are_those_that_are_scored(
    name, multi_label, tiny_system, make_split, cpu, tmp_path
):
    """Share of right answers equals the run's own score.

    The head on the stored readouts answers the same again.
    """
    torch.manual_seed(0)
    definition = {**tiny_system(name.removesuffix("_multi")).definition(), **CLASSIFIERS[name]}
    split = make_split(7)
    split = replace(split, multi_label=multi_label)
    objective = build(definition, split.shape).eval()
    group = zarr.open_group(tmp_path / "s.zarr", mode="w")
    how = {"rows": 7, "policy": "none", "dtype": "float32", "device": cpu}
    scored = store_activations(objective, split, group, **how)
    right = (group["answers"][:] == (split.labels.numpy() > 0)).all(axis=1)
    assert right.mean() == pytest.approx(scored["exact_set"].mean())
    scores = group["scores"][:]
    assert ((scores >= 0) & (scores <= 1)).all()
    if multi_label:
        decided = np.abs(scores - 0.5) > 1e-6
        np.testing.assert_array_equal((scores > 0.5)[decided], group["answers"][:][decided])
    else:
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(scores.argmax(axis=1), group["answers"][:].argmax(axis=1))
    read = {}
    for stream in group["readout"]:
        read[stream] = torch.from_numpy(read_array(group, f"readout/{stream}"))
    with torch.no_grad():
        again = objective.answer(read)
    np.testing.assert_allclose(again[0], scores, atol=1e-6)


def fake_store(path, run: str, rng, ids=("test/0", "test/1"), classes: int = 3):
    root = zarr.open_group(path, mode="w")
    dataset, system, seed = run.split("/")
    root.attrs.update(
        {"dataset": dataset, "system": system, "seed": seed.removeprefix("seed"), "layers": []}
    )
    for group in (root, root.create_group("fit")):
        write_ids(group, list(ids))
        write_labels(group, np.eye(max(classes, 2), dtype=np.uint8)[: len(ids)])
        if classes:
            group.create_array("scores", data=rng.random((len(ids), classes)).astype(np.float32))
            group.create_array("answers", data=rng.random((len(ids), classes)) < 0.5)
            for stream, shape in (("b", (len(ids), 2, 3)), ("a", (len(ids), 1, 4))):
                group.require_group("readout").create_array(
                    stream, data=rng.random(shape).astype(np.float32)
                )
    return path


def test_stores_are_read_and_checked(tmp_path, rng):
    stores = [
        fake_store(tmp_path / "x.zarr", "d/x/seed0", rng),
        fake_store(tmp_path / "y.zarr", "d/y/seed0", rng, classes=0),
    ]
    found, without, clips = load_answers(stores)
    assert list(found) == ["d/x/seed0"] and without == ["d/y/seed0"]
    assert clips.ids == ["test/0", "test/1"] and clips.truth.shape == (2, 3)
    assert clips.groups is None
    run = found["d/x/seed0"]
    assert run.shapes == {"a": (1, 4), "b": (2, 3)} and run.test.shape == (2, 10)
    for stream, values in run.streams(run.test).items():
        np.testing.assert_allclose(values, zarr.open_group(stores[0])["readout"][stream][:])
    with pytest.raises(ValueError, match="hold different clips or another order of them"):
        load_answers(
            [stores[0], fake_store(tmp_path / "z.zarr", "d/z/seed0", rng, ids=("test/1", "test/0"))]
        )
    with pytest.raises(ValueError, match=r"w\.zarr: answers with 5 classes, d/x/seed0 with 3"):
        load_answers([stores[0], fake_store(tmp_path / "w.zarr", "d/w/seed0", rng, classes=5)])
