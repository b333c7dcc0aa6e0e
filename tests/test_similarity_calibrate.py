"""Floors, ceilings and adjusted p values beside the values of all pairs."""

import csv

import numpy as np
import pytest

from vidrep.similarity import all_pairs
from vidrep.similarity.calibrate import adjusted, calibrate
from vidrep.similarity.table import write_table

REPS = ["d/a/seed0/top", "d/a/seed1/top", "d/b/seed0/top", "d/b/seed3/top", "d/c/seed0/top", "e/a/seeduntrained/top",
        "d/b/seeduntrained/top"]  # fmt: skip


@pytest.fixture(scope="module")
def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    shared = rng.normal(size=(60, 6))
    return [shared @ rng.normal(size=(6, 12)) + noise * rng.normal(size=(60, 12)) for noise in (1, 1, 1, 1, 1, 4, 4)]


@pytest.fixture(scope="module")
def result(arrays):
    return all_pairs(dict(zip(REPS, arrays, strict=True)), "cka_linear_debiased", permutations=99)


def test_floor_ceiling_and_calibrated_score(result):
    columns, values = calibrate(result, REPS), result.values
    a, b = REPS.index("d/a/seed1/top"), REPS.index("d/b/seed0/top")
    floor, ceiling = values[5, 6], np.sqrt(values[0, 1] * values[2, 3])
    assert columns["floor"][a, b] == floor and columns["ceiling"][a, b] == pytest.approx(ceiling)
    assert columns["calibrated"][a, b] == pytest.approx((values[a, b] - floor) / (ceiling - floor))


def test_nothing_is_made_up(result):
    columns = calibrate(result, REPS)
    assert np.isnan(columns["ceiling"][4]).all(), "a single seed has no ceiling"
    assert np.isnan(columns["floor"][4]).all(), "system c has no twin here"
    assert np.isnan(columns["floor"][5]).all() and np.isnan(columns["ceiling"][6]).all(), "twins are no trained runs"
    plain = calibrate(result, list("abcdefg"))
    assert all(np.isnan(plain[name]).all() for name in ("floor", "ceiling", "calibrated")) and not np.isnan(plain["q"][0, 1])


def test_distances_are_calibrated_the_same_way_round(arrays):
    result = all_pairs(dict(zip(REPS, arrays, strict=True)), "procrustes")
    columns, values = calibrate(result, REPS), result.values
    assert columns["ceiling"][0, 2] == pytest.approx((values[0, 1] + values[2, 3]) / 2)
    assert columns["floor"][0, 2] > columns["ceiling"][0, 2]
    assert columns["calibrated"][0, 2] == pytest.approx((values[5, 6] - values[0, 2]) / (values[5, 6] - columns["ceiling"][0, 2]))


def test_adjusted_p_values_are_those_of_benjamini_and_hochberg():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=(6, 6)) ** 3
    p = np.triu(p) + np.triu(p, 1).T
    p[0, 3] = p[3, 0] = np.nan
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6) if not np.isnan(p[i, j])]
    ordered = sorted(pairs, key=lambda pair: p[pair])
    smallest, expected = 1.0, {}
    for rank in range(len(ordered), 0, -1):  # step up from the largest
        smallest = min(smallest, p[ordered[rank - 1]] * len(ordered) / rank)
        expected[ordered[rank - 1]] = smallest
    q = adjusted(p, symmetric=True)
    assert all(q[pair] == pytest.approx(expected[pair]) == q[pair[::-1]] for pair in pairs)
    assert np.isnan(np.diag(q)).all() and np.isnan(q[0, 3])


def test_unrelated_pairs_rarely_pass(arrays):
    rng = np.random.default_rng(1)
    result = all_pairs([rng.normal(size=(60, 8)) for _ in range(12)], "cka_linear_debiased", permutations=199)
    q = calibrate(result, [str(i) for i in range(12)])["q"]
    upper = np.triu_indices(12, 1)
    assert (result.null_p[upper] < 0.05).any() and (q[upper] < 0.05).mean() <= 0.05


def test_the_table_has_the_columns(result, tmp_path):
    write_table(tmp_path / "t.csv", result, REPS)
    with open(tmp_path / "t.csv", newline="") as file:
        rows = {(row["rep_a"], row["rep_b"]): row for row in csv.DictReader(file)}
    row = rows["d/a/seed0/top", "d/b/seed0/top"]
    assert float(row["calibrated"]) == pytest.approx(calibrate(result, REPS)["calibrated"][0, 2], rel=1e-6)
    assert float(row["q"]) >= float(row["null_p"]) and rows["d/a/seed0/top", "d/c/seed0/top"]["ceiling"] == ""
