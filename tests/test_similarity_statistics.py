"""Intervals and nulls against brute force, and against what they promise.

Data are drawn again and again.
"""

import numpy as np
import pytest

from vidrep.similarity import all_pairs, bilinear, compare, find, measures, resample, summarise
from vidrep.statistics import jackknife_error

N = 36


@pytest.fixture
def arrays():
    rng = np.random.default_rng(5)
    shared = rng.standard_normal((N, 4))
    return [
        shared @ rng.standard_normal((4, d)) + s * rng.standard_normal((N, d))
        for d, s in ((8, 1), (20, 2), (60, 3))
    ]


@pytest.mark.parametrize("name", ["cka_linear", "cka_linear_debiased"])
def test_jackknife_equals_leaving_out_each_clip(name, arrays):
    prepared = [find(name).prepare(summarise(x), {}) for x in arrays]
    errors = find(name).jackknife(prepared, prepared, {})
    across = find(name).jackknife(prepared[:1], prepared[1:], {})
    for i, x in enumerate(arrays):
        for j, y in enumerate(arrays):
            left = np.array(
                [compare(np.delete(x, k, 0), np.delete(y, k, 0), name) for k in range(N)]
            )
            expected = np.sqrt((N - 1) * left.var())
            assert errors[i, j] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(across, errors[:1, 1:], rtol=1e-12)


def test_rbf_jackknife_holds_the_bandwidth(arrays):
    widths = [
        np.sqrt(np.median(np.sum((x[:, None] - x) ** 2, axis=2)[np.triu_indices(N, 1)]))
        for x in arrays[:2]
    ]
    prepared = [
        find("cka_rbf").prepare(summarise(x), {"bandwidth": w, "absolute": True, "debiased": False})
        for x, w in zip(arrays, widths, strict=False)
    ]
    errors = find("cka_rbf").jackknife(prepared, prepared, {"debiased": False})

    def value(rows):
        items = [
            find("cka_rbf").prepare(
                summarise(x[rows]), {"bandwidth": w, "absolute": True, "debiased": False}
            )
            for x, w in zip(arrays, widths, strict=False)
        ]
        return float(np.sum(items[0].data * items[1].data))

    left = np.array([value(np.delete(np.arange(N), k)) for k in range(N)])
    assert errors[0, 1] == pytest.approx(np.sqrt((N - 1) * left.var()), rel=1e-9)


@pytest.mark.parametrize("name", ["rsa", "knn_jaccard", "knn_mutual"])
def test_grouped_jackknife_equals_leaving_out_each_group(name, arrays):
    groups = np.array_split(np.random.default_rng(0).permutation(N), 6)
    kernels = [summarise(x) for x in arrays]
    options = find(name).settings({})
    errors = jackknife_error(
        resample.replicates(find(name), options, (kernels, kernels), groups, True)
    )
    for i, x in enumerate(arrays):
        for j, y in enumerate(arrays):
            left = np.array(
                [compare(np.delete(x, group, 0), np.delete(y, group, 0), name) for group in groups]
            )
            assert errors[i, j] == pytest.approx(np.sqrt(5 * left.var()), rel=1e-3, abs=1e-6)


def test_intervals_stand_around_the_value(arrays):
    result = all_pairs(arrays, "cka_linear_debiased", intervals=True)
    off = ~np.eye(3, dtype=bool)
    assert (result.ci_low < result.values)[off].all() and (result.values < result.ci_high)[
        off
    ].all()
    np.testing.assert_allclose(np.diag(result.ci_high), 1)
    assert np.isnan(
        all_pairs([x[:19] for x in arrays], "cka_linear_debiased", intervals=True).ci_low
    ).all()


@pytest.mark.parametrize("name", ["cka_linear_debiased", "rsa"])
def test_intervals_cover_the_value_of_many_clips(name):
    """Nominal 95 % intervals at 60 clips.

    30 draws leave room for some misses more than the 1.5 expected.
    """
    rng = np.random.default_rng(2)
    mix = [rng.standard_normal((5, 12)) for _ in range(2)]

    def draw(n):
        shared = rng.standard_normal((n, 5))
        return [shared @ m + 1.5 * rng.standard_normal((n, 12)) for m in mix]

    truth = compare(*draw(1500), name)
    covered = 0
    for _ in range(30):
        result = all_pairs(draw(60), name, intervals=True)
        covered += result.ci_low[0, 1] <= truth <= result.ci_high[0, 1]
    assert covered >= 25


@pytest.mark.parametrize("name", [name for name in measures() if find(name).null])
@pytest.mark.parametrize("n", [N, N - 1])
def test_null_equals_explicit_shifts(name, n, arrays):
    """Every cyclic shift of one side along a random ordering, computed one by one."""
    arrays = [x[:n] for x in arrays]
    options = find(name).settings({})
    prepared = [find(name).prepare(summarise(x), options) for x in arrays]
    orders = bilinear.orderings(n, 2 * n, np.random.default_rng(1))
    assert len(orders) == 3
    counts = find(name).null(prepared, prepared, orders)
    observed = bilinear.inner_products(prepared, prepared)
    expected = np.zeros((3, 3))
    for order in orders:
        for shift in range(1, n):
            target = np.empty(n, dtype=int)
            target[order] = np.roll(order, -shift)
            moved = np.array(
                [
                    [np.sum(a.data * b.data[np.ix_(target, target)]) for b in prepared]
                    for a in prepared
                ]
            )
            expected += moved >= observed - 1e-6
    np.testing.assert_allclose(counts, expected, atol=1)  # single precision may move one tie


def test_p_values_of_unrelated_representations_are_uniform():
    rng = np.random.default_rng(4)
    p = []
    for _ in range(25):
        result = all_pairs(
            [rng.standard_normal((30, 6)) for _ in range(5)],
            "cka_linear_debiased",
            permutations=199,
        )
        p += result.null_p[np.triu_indices(5, 1)].tolist()
    p = np.array(p)
    assert 0.02 < np.mean(p <= 0.05) < 0.09
    assert 0.44 < p.mean() < 0.56


def test_related_representations_get_the_smallest_p(arrays):
    result = all_pairs(arrays, "cka_linear", permutations=199)
    draws = 35 * 6  # whole orbits of shifts, at least 199
    np.testing.assert_allclose(result.null_p, 1 / (1 + draws))
    assert np.isnan(all_pairs(arrays, "cka_linear").null_p).all()


@pytest.mark.parametrize("name", ["cka_linear", "knn_mutual", "knn_jaccard", "cca_mean"])
def test_chance_is_the_mean_over_re_pairings(name, arrays):
    options = {"squared": True} if name == "cca_mean" else {}
    pair = arrays[:2]
    expected = all_pairs(pair, name, **options).chance[0, 1]
    rng = np.random.default_rng(0)
    drawn = [compare(pair[0], pair[1][rng.permutation(N)], name, **options) for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(expected, abs=4 * np.std(drawn) / 20)


def test_seed_alone_decides(arrays):
    # enough clips to leave them out in random groups
    arrays = [np.concatenate([x, x[::-1] ** 2]) for x in arrays]
    first, again, other = (
        all_pairs(arrays, "rsa", intervals=True, permutations=50, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.ci_low, again.ci_low)
    np.testing.assert_array_equal(first.values, other.values)
    assert not np.array_equal(first.ci_low, other.ci_low)


@pytest.mark.parametrize("name", ["cka_linear_debiased", "rsa", "knn_mutual"])
def test_statistics_do_not_depend_on_blocks(name, arrays):
    whole = all_pairs(arrays, name, intervals=True, permutations=50)
    parts = all_pairs(arrays, name, intervals=True, permutations=50, memory_mb=0.01)
    for key in ("values", "ci_low", "ci_high", "null_p", "chance"):
        np.testing.assert_allclose(getattr(parts, key), getattr(whole, key), atol=1e-9, err_msg=key)
