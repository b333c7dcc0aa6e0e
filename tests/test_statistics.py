"""Intervals, p values and ranks, against their definitions and against SciPy."""

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binomtest, false_discovery_control, norm, rankdata, t

from vidrep import statistics


def test_normal_quantile():
    assert ndtri((1 + statistics.LEVEL) / 2) == statistics.NORMAL_QUANTILE


def test_wilson_interval_solves_its_equation():
    # The interval solves |p - share| = z sqrt(p (1 - p) / n) for p.
    for share, n in ((0.0, 10), (0.5, 10), (0.97, 400)):
        for bound in statistics.wilson_interval(share, n):
            assert abs(bound - share) == pytest.approx(
                statistics.NORMAL_QUANTILE * np.sqrt(max(bound, 0) * (1 - bound) / n), abs=1e-9
            )


@pytest.mark.parametrize("n", [1, 7, 200])
def test_wilson_interval_is_that_of_scipy_to_the_last_bit(n):
    for hits in range(n + 1):
        interval = binomtest(hits, n).proportion_ci(method="wilson")
        low, high = statistics.wilson_interval(hits / n, n)
        assert (low, high) == (interval.low, interval.high)
    shares = np.array([0.0, 0.5, 1.0])
    assert statistics.wilson_interval(shares, n)[0].shape == (3,)


def test_intervals_of_a_mean():
    values = np.random.default_rng(0).normal(size=12)
    error = values.std(ddof=1) / np.sqrt(12)
    mean, *ends = statistics.normal_interval(values)
    assert mean == pytest.approx(values.mean())
    assert ends == pytest.approx(norm.interval(0.95, values.mean(), error))
    mean, *ends = statistics.student_interval(values)
    assert ends == pytest.approx(t.interval(0.95, 11, values.mean(), error))
    assert np.isnan(statistics.student_interval(values[:1])[1:]).all()


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(1).normal(size=(9, 2))
    left_out = (values.sum(axis=0) - values) / 8
    error = statistics.jackknife_error(left_out)
    np.testing.assert_allclose(error, values.std(axis=0, ddof=1) / 3)
    margin = statistics.jackknife_margin(error, 9)
    # a value as far from 0 as its interval reaches has p = 0.05
    np.testing.assert_allclose(statistics.jackknife_p(margin, error, 9), 0.05)
    assert np.isnan(statistics.jackknife_p(np.ones(2), np.array([0, np.nan]), 9)).all()


def test_percentile_interval_leaves_out_what_is_mostly_missing():
    draws = np.random.default_rng(2).normal(size=(200, 3))
    draws[:10, 1] = np.nan
    draws[:30, 2] = np.nan
    low, high = statistics.percentile_interval(draws)
    assert (low[0], high[0]) == pytest.approx(np.quantile(draws[:, 0], (0.025, 0.975)))
    assert np.isfinite([low[1], high[1]]).all() and np.isnan([low[2], high[2]]).all()
    counts = statistics.bootstrap_counts(5, 40, np.random.default_rng(3))
    assert counts.shape == (40, 5) and (counts.sum(axis=1) == 5).all()


def test_permutation_p_counts_the_observation_and_ties():
    draws = np.array([0.1, 0.2, 0.3, 0.4])
    assert statistics.permutation_p(0.3, draws) == 3 / 5
    assert statistics.permutation_p(0.3 + 1e-14, draws) == 3 / 5
    assert statistics.permutation_p(0.35, draws, tolerance=0.1) == 3 / 5
    assert statistics.permutation_p(9.0, draws) == 1 / 5
    assert np.isnan(statistics.permutation_p(np.nan, draws))


def test_adjusted_p_knows_only_p_values_that_are_there():
    p = np.array([[0.01, np.nan], [0.04, 0.03]])
    found = statistics.adjusted_p(p)
    known = ~np.isnan(p)
    np.testing.assert_array_equal(found[known], false_discovery_control(p[known]))
    assert np.isnan(found[~known]).all()
    assert np.isnan(statistics.adjusted_p(np.full(3, np.nan))).all()


@pytest.mark.parametrize("low", [0, -3])
def test_centred_ranks(low):
    values = np.random.default_rng(4).integers(low, 5, size=60).astype(float)
    ranks = statistics.centred_ranks(values)
    np.testing.assert_array_equal(ranks, rankdata(values) - 30.5)
    assert len(statistics.centred_ranks(values[:0])) == 0


def clustered(rng, groups, each=6, between=1.0):
    """Values of ``each`` clips in every group, alike within, and their groups."""
    shared = between * rng.standard_normal(groups)
    values = shared[:, None] + rng.standard_normal((groups, each))
    return values.ravel(), np.repeat(np.arange(groups), each)


@pytest.mark.parametrize("groups", [6, 10, 30])
def test_intervals_over_groups_cover_the_truth_where_those_over_clips_do_not(groups):
    """2,000 samples of a mean of 0: 95 % of intervals hold it (binomial error 0.5 points)."""
    rng = np.random.default_rng(0)
    covered = {"groups": 0, "clips": 0}
    draws = 2000
    for _ in range(draws):
        values, names = clustered(rng, groups)
        _, low, high = statistics.grouped_interval(values, names)
        covered["groups"] += low <= 0 <= high
        _, low, high = statistics.student_interval(values)
        covered["clips"] += low <= 0 <= high
    assert abs(covered["groups"] / draws - 0.95) < 0.02
    assert covered["clips"] / draws < 0.75


def test_intervals_over_groups_are_those_of_group_means_and_of_single_clips():
    rng = np.random.default_rng(0)
    values, names = clustered(rng, 8)
    means = values.reshape(8, -1).mean(1)
    of_means = statistics.student_interval(means)
    assert np.allclose(statistics.grouped_interval(values, names), of_means)
    assert np.allclose(statistics.grouped_interval(values), statistics.student_interval(values))
    order = rng.permutation(len(values))
    assert np.allclose(statistics.grouped_interval(values[order], names[order]), of_means)
    uneven = np.r_[names[:-5], np.full(5, 3)]
    mean, low, high = statistics.grouped_interval(values, uneven)
    assert np.isclose(mean, values.mean()) and low < mean < high


def test_too_few_groups_have_no_interval():
    rng = np.random.default_rng(0)
    values, names = clustered(rng, statistics.FEWEST_GROUPS - 1, each=20)
    assert np.isnan(statistics.grouped_interval(values, names)[1:]).all()
    assert np.isnan(statistics.share_interval(values > 0, names)).all()
    assert [statistics.enough(groups, 100) for groups in (5, 6)] == [False, True]
    assert [statistics.enough(clips, clips) for clips in (19, 20)] == [False, True]


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_intervals_of_shares_over_groups_cover_the_truth(share):
    """Groups of six clips, whose own shares vary as a beta law does."""
    rng = np.random.default_rng(0)
    names = np.repeat(np.arange(10), 6)
    covered = {"groups": [], "clips": []}
    for _ in range(1000):
        own = rng.beta(2 * share, 2 * (1 - share), 10)
        hits = rng.random(60) < own[names]
        low, high = statistics.share_interval(hits, names)
        covered["groups"].append(low <= share <= high)
        low, high = statistics.share_interval(hits)
        covered["clips"].append(low <= share <= high)
    assert np.mean(covered["groups"]) > 0.91
    assert np.mean(covered["clips"]) < np.mean(covered["groups"]) - 0.05


def test_shares_of_independent_clips_and_of_groups_that_agree():
    hits = np.arange(40) < 28
    assert statistics.share_interval(hits) == tuple(statistics.wilson_interval(0.7, 40))
    sure = statistics.share_interval(np.ones(60), np.repeat(np.arange(10), 6))
    assert sure == tuple(statistics.wilson_interval(1.0, 10))


def test_bootstrap_weights_take_groups_as_a_whole():
    rng = np.random.default_rng(0)
    names = ["b", "a", "b", "c", "a", "b"]
    weights = statistics.bootstrap_weights(names, 6, 50, rng)
    assert np.allclose(weights.sum(1), 1)
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert np.array_equal(weights[:, 1], weights[:, 4])
    assert statistics.numbered(names, 6)[0].tolist() == [0, 1, 0, 2, 1, 0]
