"""Floors, ceilings and adjusted p values beside the values of all pairs."""

import csv

import numpy as np
import pytest

from vidrep.similarity import all_pairs
from vidrep.similarity.calibrate import adjusted, calibrate, over_seeds
from vidrep.similarity.rep import Rep
from vidrep.similarity.table import write_pairs

REPS = [
    "d/a/seed0/top",
    "d/a/seed1/top",
    "d/b/seed0/top",
    "d/b/seed3/top",
    "d/c/seed0/top",
    "e/a/seeduntrained/top",
    "d/b/seeduntrained/top",
]


@pytest.fixture(scope="module")
def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    shared = rng.normal(size=(60, 6))
    return [
        shared @ rng.normal(size=(6, 12)) + noise * rng.normal(size=(60, 12))
        for noise in (1, 1, 1, 1, 1, 4, 4)
    ]


@pytest.fixture(scope="module")
def result(arrays):
    return all_pairs(dict(zip(REPS, arrays, strict=True)), "cka_linear_debiased", permutations=99)


def test_floor_ceiling_and_calibrated_score(result):
    columns = calibrate(result, REPS)
    values = result.values
    a = REPS.index("d/a/seed1/top")
    b = REPS.index("d/b/seed0/top")
    floor = values[5, 6]
    ceiling = np.sqrt(values[0, 1] * values[2, 3])
    assert columns["floor"][a, b] == floor and columns["ceiling"][a, b] == pytest.approx(ceiling)
    assert columns["calibrated"][a, b] == pytest.approx((values[a, b] - floor) / (ceiling - floor))


def test_nothing_is_made_up(result):
    columns = calibrate(result, REPS)
    assert np.isnan(columns["ceiling"][4]).all(), "a single seed has no ceiling"
    assert np.isnan(columns["floor"][4]).all(), "system c has no untrained baseline here"
    assert np.isnan(columns["floor"][5]).all() and np.isnan(columns["ceiling"][6]).all(), (
        "untrained baselines are no trained runs"
    )
    plain = calibrate(result, list("abcdefg"))
    assert all(
        np.isnan(plain[name]).all() for name in ("floor", "ceiling", "calibrated")
    ) and not np.isnan(plain["q"][0, 1])


def test_distances_are_calibrated_the_same_way_round(arrays):
    result = all_pairs(dict(zip(REPS, arrays, strict=True)), "procrustes")
    columns = calibrate(result, REPS)
    values = result.values
    assert columns["ceiling"][0, 2] == pytest.approx((values[0, 1] + values[2, 3]) / 2)
    assert columns["floor"][0, 2] > columns["ceiling"][0, 2]
    assert columns["calibrated"][0, 2] == pytest.approx(
        (values[5, 6] - values[0, 2]) / (values[5, 6] - columns["ceiling"][0, 2])
    )


def test_adjusted_p_values_are_those_of_benjamini_and_hochberg():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=(6, 6)) ** 3
    p = np.triu(p) + np.triu(p, 1).T
    p[0, 3] = p[3, 0] = np.nan
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6) if not np.isnan(p[i, j])]
    ordered = sorted(pairs, key=lambda pair: p[pair])
    smallest = 1.0
    expected = {}
    for rank in range(len(ordered), 0, -1):  # step up from the largest
        smallest = min(smallest, p[ordered[rank - 1]] * len(ordered) / rank)
        expected[ordered[rank - 1]] = smallest
    q = adjusted(p, symmetric=True)
    assert all(q[pair] == pytest.approx(expected[pair]) == q[pair[::-1]] for pair in pairs)
    assert np.isnan(np.diag(q)).all() and np.isnan(q[0, 3])


def test_unrelated_pairs_rarely_pass(arrays):
    rng = np.random.default_rng(1)
    result = all_pairs(
        [rng.normal(size=(60, 8)) for _ in range(12)], "cka_linear_debiased", permutations=199
    )
    q = calibrate(result, [str(i) for i in range(12)])["q"]
    upper = np.triu_indices(12, 1)
    assert (result.null_p[upper] < 0.05).any() and (q[upper] < 0.05).mean() <= 0.05


def test_the_table_has_the_columns(result, tmp_path):
    write_pairs(tmp_path / "t.csv", result, REPS)
    with open(tmp_path / "t.csv", newline="") as file:
        rows = {(row["rep_a"], row["rep_b"]): row for row in csv.DictReader(file)}
    row = rows["d/a/seed0/top", "d/b/seed0/top"]
    assert float(row["calibrated"]) == pytest.approx(
        calibrate(result, REPS)["calibrated"][0, 2], rel=1e-6
    )
    assert (
        float(row["q"]) >= float(row["null_p"])
        and rows["d/a/seed0/top", "d/c/seed0/top"]["ceiling"] == ""
    )


def test_chance_is_zero_and_identity_is_one(arrays):
    result = all_pairs(arrays, "procrustes", permutations=39)
    above = calibrate(result, list("abcdefg"))["above_chance"]
    np.testing.assert_allclose(np.diag(above), 1, atol=1e-6)
    assert above[0, 1] == pytest.approx(1 - result.values[0, 1] / result.chance[0, 1])
    biased = all_pairs(arrays, "cka_linear")
    above = calibrate(biased, list("abcdefg"))["above_chance"]
    assert above[0, 1] == pytest.approx(
        (biased.values[0, 1] - biased.chance[0, 1]) / (1 - biased.chance[0, 1])
    )


def test_the_cosine_form_of_a_distance_is_calibrated_as_a_similarity(arrays):
    result = all_pairs(dict(zip(REPS, arrays, strict=True)), "procrustes", form="cosine")
    columns = calibrate(result, REPS)
    values = result.values
    assert columns["ceiling"][0, 2] == pytest.approx(np.sqrt(values[0, 1] * values[2, 3]))


def test_mean_and_spread_over_seeds():
    names = [
        "d/a/seed0/t",
        "d/a/seed1/t",
        "d/b/seed0/t",
        "d/b/seed1/t",
        "d/c/seed0/t",
        "d/c/seeduntrained/t",
    ]
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(6, 6))
    values = (values + values.T) / 2
    found = over_seeds(values, [Rep.parse(name) for name in names])
    assert (
        found["seeds_a"][0, 4] == 2
        and found["seeds_b"][0, 4] == 1
        and np.isnan(found["seeds_a"][5]).all()
    )
    assert found["seed_mean"][1, 2] == pytest.approx(values[:2, 2:4].mean())
    disjoint = [values[0, 2] - values[1, 3], values[0, 3] - values[1, 2]]
    assert found["seed_sd"][1, 2] == pytest.approx(np.sqrt(np.mean(np.square(disjoint)) / 2))
    assert found["seed_sd"][0, 4] == pytest.approx(np.std(values[:2, 4], ddof=1)), (
        "c stays as it is"
    )
    assert found["seed_mean"][0, 0] == values[0, 1] and np.isnan(found["seed_sd"][0, 1]), (
        "two seeds give one value"
    )
    assert np.isnan(found["seed_mean"][4, 4]) and np.isnan(found["seed_sd"][4, 5])


def test_spread_over_seeds_is_that_of_training_both_sides_anew():
    """Values made of an effect of each side's run and one of the pair.

    The variance is the sum of all three.
    """
    rng = np.random.default_rng(2)
    names = [f"d/a/seed{k}/t" for k in range(3)] + [f"d/b/seed{k}/t" for k in range(3)]
    between = []
    within = []
    for _ in range(400):
        run = rng.normal(size=6)
        values = np.add.outer(run, run) + rng.normal(size=(6, 6))
        values = np.triu(values) + np.triu(values, 1).T
        found = over_seeds(values, [Rep.parse(name) for name in names])
        between.append(found["seed_sd"][0, 3] ** 2)
        within.append(found["seed_sd"][0, 1])
    assert np.mean(between) == pytest.approx(3, rel=0.15) and np.isnan(within).all()
