"""Leaving out and re-pairing clips, against the same done to the activations.

Clips have one row or several.
"""

import numpy as np
import pytest

from vidrep.similarity import all_pairs, compare, difference, differences, find, measures, summarise
from vidrep.similarity.resample import left_out, re_paired, re_pairings, units_of, without

N = 30
RECOMPUTED = ["procrustes", "cca_mean", "knn_jaccard", "linear_r2"]


def related(n: int, widths, seed: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 4))
    return [
        shared @ rng.standard_normal((4, d)) + 1.5 * rng.standard_normal((n, d)) for d in widths
    ]


@pytest.fixture(scope="module")
def arrays() -> list[np.ndarray]:
    return related(N, (5, 7, 60))


def in_single_precision(x):
    """A summary whose arrays are those of a file of kernels."""
    kernel = summarise(x)
    kernel.given = {
        "matrix": kernel.matrix.astype(np.float32),
        "factor": kernel.factor.astype(np.float32),
        "singular_values": kernel.singular_values,
    }
    del kernel.__dict__["matrix"], kernel.__dict__["_factors"]
    return kernel


@pytest.mark.parametrize("name", measures())
def test_a_kernel_without_clips_is_that_of_the_other_clips(name, arrays):
    rows = np.array([3, 4, 11])
    options = {"k": 5} if name.startswith("knn") else {}
    for x, y in ((arrays[0], arrays[1]), (arrays[1], arrays[2])):
        expected = compare(np.delete(x, rows, 0), np.delete(y, rows, 0), name, **options)
        assert compare(
            *(without(summarise(z), rows) for z in (x, y)), name, **options
        ) == pytest.approx(expected, abs=1e-9)
        stored = [without(in_single_precision(z), rows) for z in (x, y)]
        assert compare(*stored, name, **options) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", measures())
def test_a_re_paired_kernel_is_that_of_the_moved_clips(name, arrays):
    order = np.random.default_rng(0).permutation(N)
    options = {"k": 5} if name.startswith("knn") else {}
    expected = compare(arrays[0], arrays[1][order], name, **options)
    moved = re_paired(summarise(arrays[1]), order)
    assert compare(summarise(arrays[0]), moved, name, **options) == pytest.approx(
        expected, abs=1e-9
    )


@pytest.mark.parametrize("name", ["procrustes", "svcca", "pwcca"])
def test_intervals_come_from_leaving_out_each_clip(name, arrays):
    pair = arrays[:2]
    result = all_pairs(pair, name, intervals=True)
    left = np.array(
        [compare(np.delete(pair[0], k, 0), np.delete(pair[1], k, 0), name) for k in range(N)]
    )
    expected = 2.045229642 * np.sqrt((N - 1) * left.var())  # Student's t of 29 degrees of freedom
    assert result.ci_high[0, 1] - result.values[0, 1] == pytest.approx(expected, rel=1e-6)
    assert result.values[0, 1] - result.ci_low[0, 1] == pytest.approx(expected, rel=1e-6)


def test_a_value_that_ranks_force_has_no_interval(arrays):
    result = all_pairs(arrays, "cca_mean", intervals=True)
    assert (
        result.flags[0, 2] == "saturated"
        and np.isnan(result.ci_low[0, 2])
        and not np.isnan(result.ci_low[0, 1])
    )


@pytest.mark.parametrize("name", RECOMPUTED)
def test_null_counts_re_paired_values(name, arrays):
    pair = [arrays[0], arrays[1] + np.random.default_rng(1).standard_normal((N, 7)) * 6]
    options = {"k": 5} if name.startswith("knn") else {}
    result = all_pairs(pair, name, permutations=29, **options)
    orders = re_pairings(units_of(None, N), 29, seed=0)
    drawn = np.array([compare(pair[0], pair[1][order], name, **options) for order in orders])
    observed = compare(*pair, name, **options)
    extreme = drawn <= observed + 1e-6 if name == "procrustes" else drawn >= observed - 1e-6
    assert result.null_p[0, 1] == (1 + extreme.sum()) / 30
    if np.isnan(all_pairs(pair, name, **options).chance[0, 1]):
        assert result.chance[0, 1] == pytest.approx(drawn.mean(), rel=1e-9)
    if find(name).symmetric:
        np.testing.assert_array_equal(result.null_p, result.null_p.T)


def test_a_distance_and_its_cosine_have_one_null(arrays):
    distance, cosine = (
        all_pairs(arrays, "procrustes", permutations=39, form=form)
        for form in ("distance", "cosine")
    )
    np.testing.assert_array_equal(distance.null_p, cosine.null_p)
    assert distance.null_p[0, 1] == 1 / 40 and distance.chance[0, 1] > distance.values[0, 1]


def test_clips_are_the_unit():
    names = np.array(["b", "a", "b", "c", "a", "c"])
    units = units_of(names, 6)
    assert [unit.tolist() for unit in units] == [[0, 2], [1, 4], [3, 5]]
    for order in re_pairings(units, 20, seed=1):
        assert sorted(order) == list(range(6))
        assert all(
            (order[unit] == units[[0, 1, 3].index(order[unit][0])]).all() for unit in units
        ), "whole clips, in order"
    parts = left_out(units_of(np.repeat(np.arange(50), 3), 150), seed=0)
    assert len(parts) == 20 and sorted(np.concatenate(parts)) == list(range(150))
    assert all(
        np.bincount(part // 3)[np.unique(part // 3)].tolist() == [3] * (len(part) // 3)
        for part in parts
    )


@pytest.mark.parametrize("name", ["cka_linear_debiased", "procrustes"])
def test_intervals_leave_out_whole_clips(name):
    clips = np.repeat(np.arange(22), 2)
    pair = related(44, (5, 6))
    result = all_pairs(pair, name, intervals=True, groups=clips)
    left = np.array([compare(*(x[clips != k] for x in pair), name) for k in range(22)])
    assert result.ci_high[0, 1] - result.values[0, 1] == pytest.approx(
        2.079613845 * np.sqrt(21 * left.var()), rel=1e-6
    )
    assert result.clips == 22 and result.n[0, 1] == 44


def test_clips_that_cannot_be_re_paired_end_in_one_line(arrays):
    with pytest.raises(ValueError, match="clips have 1 to 2 rows; only clips of equally many rows"):
        all_pairs(arrays, "rsa", permutations=9, groups=np.arange(1, N + 1) // 2)
    with pytest.raises(
        ValueError, match=r"groups: got shape \(4,\), expected one entry for each of 30 rows"
    ):
        all_pairs(arrays, "rsa", intervals=True, groups=[1, 2, 3, 4])


def test_frames_are_not_clips():
    """24 clips of 5 frames, without any relation.

    A test of frames rejects almost always, one of clips as often as it says.
    """
    rejected = np.zeros(2)
    for seed in range(25):
        rng = np.random.default_rng(seed)
        pair = [
            np.repeat(rng.standard_normal((24, 4)), 5, axis=0) + 0.3 * rng.standard_normal((120, 4))
            for _ in range(2)
        ]
        for k, groups in enumerate((None, np.repeat(np.arange(24), 5))):
            rejected[k] += (
                all_pairs(pair, "cka_linear_debiased", permutations=19, groups=groups).null_p[0, 1]
                <= 0.05
            )
    assert rejected[0] >= 22 and rejected[1] <= 5


def test_chance_is_that_of_whole_clips():
    clips = np.repeat(np.arange(24), 5)
    rng = np.random.default_rng(0)
    pair = [
        np.repeat(rng.standard_normal((24, 4)), 5, axis=0) + 0.3 * rng.standard_normal((120, 4))
        for _ in range(2)
    ]
    result = all_pairs(pair, "cka_linear_debiased", permutations=99, groups=clips)
    drawn = [
        compare(pair[0], pair[1].reshape(24, -1)[rng.permutation(24)].reshape(120, 4))
        for _ in range(200)
    ]
    assert result.chance[0, 1] == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / 10)
    assert np.isnan(all_pairs(pair, "cka_linear_debiased", groups=clips).chance).all(), (
        "not that of rows"
    )


@pytest.mark.parametrize("name", ["cka_linear_debiased", "procrustes"])
def test_a_difference_leaves_out_the_same_clips_on_both_sides(name, arrays):
    a, b, c = arrays
    found = difference((a, b), (a, c), name)
    assert found.first == pytest.approx(compare(a, b, name)) and found.value == pytest.approx(
        compare(a, b, name) - compare(a, c, name)
    )
    left = np.array(
        [
            compare(*x[:2], name) - compare(*x[::2], name)
            for x in ([np.delete(z, k, 0) for z in arrays] for k in range(N))
        ]
    )
    assert found.ci_high - found.value == pytest.approx(
        2.045229642 * np.sqrt((N - 1) * left.var()), rel=1e-6
    )
    assert (found.p < 0.05) == (found.ci_low > 0 or found.ci_high < 0)
    both = differences(arrays, [((0, 1), (0, 2)), ((1, 2), (0, 1))], name)
    assert both[0] == found and both[1].first == pytest.approx(compare(b, c, name))


def test_pairing_is_worth_having():
    """Two noisy copies of one representation.

    The difference is known better than its parts, which rise and fall together.
    """
    a, b = related(60, (8, 8))
    rng = np.random.default_rng(8)
    close = b + 0.1 * rng.standard_normal(b.shape)
    far = b + 2 * rng.standard_normal(b.shape)
    found = difference((a, close), (a, b))
    alone = all_pairs([a, close, b], "cka_linear_debiased", intervals=True)
    assert (
        found.ci_high - found.ci_low < 0.3 * (alone.ci_high - alone.ci_low)[0, 1] and found.p > 0.01
    )
    assert difference((a, b), (a, far)).p < 1e-3


def test_nothing_is_made_up_about_differences(arrays):
    a, b, c = arrays
    same = difference((a, b), (a, b))
    assert same.value == same.ci_low == same.ci_high == 0 and np.isnan(same.p)
    few = difference((a[:19], b[:19]), (a[:19], c[:19]))
    assert np.isfinite(few.value) and np.isnan([few.ci_low, few.p]).all()
    constant = difference((a, np.ones((N, 3))), (a, b))
    assert np.isnan([constant.value, constant.ci_low, constant.p]).all()


def test_groups_exchange_the_clips_within_them_and_few_groups_have_no_intervals(arrays):
    names = np.arange(N) % 7
    units = units_of(names, N)
    for order in re_pairings(units, 20, seed=1, within=True):
        assert sorted(order) == list(range(N)) and (names[order] == names).all()
    pair = arrays[:2]
    result = all_pairs(
        pair, "cka_linear", intervals=True, permutations=19, groups=names, within=True
    )
    assert np.isfinite(result.ci_low[0, 1]) and np.isfinite(result.null_p[0, 1])
    few = all_pairs(pair, "cka_linear", intervals=True, groups=np.arange(N) % 5)
    assert np.isnan(few.ci_low).all() and set(few.flags.ravel()) == {"too_few_groups"}


def test_re_pairing_within_groups_keeps_what_groups_share():
    """Two unrelated sets of features that only share their groups: no likeness beyond these."""
    rng = np.random.default_rng(0)
    p = {True: [], False: []}
    for _ in range(60):
        names = np.repeat(np.arange(8), 5)
        x, y = (rng.standard_normal((8, 3))[names] + rng.standard_normal((40, 3)) for _ in "xy")
        for within in p:
            groups = names if within else None
            found = all_pairs(
                [x, y], "rsa", permutations=39, groups=groups, within=within, seed=len(p[within])
            )
            p[within].append(found.null_p[0, 1])
    false_alarms = {within: np.mean(np.array(values) <= 0.05) for within, values in p.items()}
    assert false_alarms[True] < 0.15 < false_alarms[False]
