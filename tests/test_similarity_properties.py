"""What every measure promises: symmetry, identity, invariances, independence of layout.

Degenerate input has no value, and a reason.
"""

import numpy as np
import pytest
import torch

from vidrep.similarity import (
    Kernel,
    all_pairs,
    compare,
    compare_all,
    find,
    measures,
    nuclear,
    summarise,
)
from vidrep.similarity.centring import feature_blocks
from vidrep.similarity.kernel import summarise_blocks

N = 48
# its folds depend on the order of clips
DETERMINISTIC = [name for name in measures() if name != "linear_r2"]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def pair(rng):
    """Two related representations of different width, fewer features than clips, with offsets."""
    shared = rng.standard_normal((N, 6))
    x = (
        shared @ rng.standard_normal((6, 12))
        + 0.5 * rng.standard_normal((N, 12))
        + rng.standard_normal(12)
    )
    y = (
        shared @ rng.standard_normal((6, 17))
        + 0.7 * rng.standard_normal((N, 17))
        - 2 * rng.standard_normal(17)
    )
    return x, y


@pytest.fixture
def wide(rng):
    """A related pair with more features than clips."""
    shared = rng.standard_normal((N, 6))
    return tuple(
        shared @ rng.standard_normal((6, d)) + rng.standard_normal((N, d)) for d in (90, 120)
    )


def random_rotation(size, rng):
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


@pytest.mark.parametrize("name", measures())
def test_declaration_is_complete(name):
    spec = find(name)
    assert spec.name == name
    assert spec.direction in ("similarity", "distance")
    assert spec.range[0] < spec.range[1]
    assert "permutation" in spec.invariances
    assert spec.invariances <= {
        "permutation",
        "rotation",
        "scale",
        "feature_scale",
        "offset",
        "linear",
    }
    assert spec.source and spec.cost and spec.title


@pytest.mark.parametrize("name", measures())
def test_identity(name, pair, wide):
    for x in pair:
        assert compare(x, x, name) == pytest.approx(find(name).identity, abs=2e-8)
    # cross-validated: clips held out in a space as wide as the clips are many cannot be predicted
    if name != "linear_r2":
        assert compare(wide[0], wide[0], name) == pytest.approx(find(name).identity, abs=2e-8)


@pytest.mark.parametrize("name", measures())
def test_value_in_range_and_symmetry_as_declared(name, pair):
    x, y = pair
    spec = find(name)
    value = compare(x, y, name)
    assert spec.range[0] <= value <= spec.range[1]
    other = compare(y, x, name)
    assert value == pytest.approx(other, abs=1e-12) if spec.symmetric else abs(value - other) > 1e-6


@pytest.mark.parametrize("kind", ["pair", "wide"])
@pytest.mark.parametrize("name", measures())
def test_declared_invariances(name, kind, request, rng):
    x, y = request.getfixturevalue(kind)
    expected = compare(x, y, name)
    changes = {
        "permutation": lambda z: z[:, rng.permutation(z.shape[1])],
        "feature_scale": lambda z: z * rng.uniform(0.2, 5, z.shape[1]),
        "rotation": lambda z: z @ random_rotation(z.shape[1], rng),
        "scale": lambda z: 37.5 * z,
        "offset": lambda z: z + 11 * rng.standard_normal(z.shape[1]),
        "linear": lambda z: z @ rng.standard_normal((z.shape[1], z.shape[1])),
    }
    for key in find(name).invariances:
        assert compare(changes[key](x), y, name) == pytest.approx(expected, abs=1e-9), key
        assert compare(x, changes[key](y), name) == pytest.approx(expected, abs=1e-9), key


@pytest.mark.parametrize(
    "name",
    ["cka_linear", "cka_linear_debiased", "procrustes", "svcca", "knn_jaccard", "linear_r2", "rsa"],
)
def test_not_blind_to_linear_maps(name, pair, rng):
    x, y = pair
    stretched = x * np.geomspace(1, 50, x.shape[1])
    assert abs(compare(stretched, y, name) - compare(x, y, name)) > 1e-3


@pytest.mark.parametrize(
    "name", [name for name in measures() if "rotation" not in find(name).invariances]
)
def test_rotations_are_seen_where_they_are_not_declared(name, pair, rng):
    x, y = pair
    assert abs(compare(x @ random_rotation(x.shape[1], rng), y, name) - compare(x, y, name)) > 1e-5


@pytest.mark.parametrize("name", measures())
def test_dead_features_do_not_matter(name, pair):
    x, y = pair
    expected = compare(x, y, name)
    if name != "rsa":  # correlation across features counts constant ones
        padded = np.concatenate([x, np.zeros((N, 9)), np.full((N, 2), 3.7)], axis=1)
        assert compare(padded, y, name) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_joint_order_of_clips_does_not_matter(name, pair, rng):
    x, y = pair
    order = rng.permutation(N)
    assert compare(x[order], y[order], name) == pytest.approx(compare(x, y, name), abs=1e-10)
    assert abs(compare(x[order], y, name) - compare(x, y, name)) > 1e-3


@pytest.mark.parametrize("name", measures())
@pytest.mark.parametrize("kind", ["pair", "wide"])
def test_block_sizes_do_not_matter(name, kind, request):
    arrays = request.getfixturevalue(kind)
    expected = compare_all(arrays, name)
    blocked = [summarise(x, block_features=7) for x in arrays]
    np.testing.assert_allclose(compare_all(blocked, name), expected, atol=1e-10)
    one_at_a_time = compare_all(arrays, name, memory_mb=0.01)
    np.testing.assert_allclose(one_at_a_time, expected, atol=1e-10)


@pytest.mark.parametrize("name", measures())
def test_matrix_equals_single_comparisons(name, pair, wide):
    arrays = {"a": pair[0], "b": pair[1], "c": wide[0], "d": wide[1]}
    matrix = compare_all(arrays, name)
    singles = [[compare(x, y, name) for y in arrays.values()] for x in arrays.values()]
    np.testing.assert_allclose(matrix, singles, atol=1e-10)


@pytest.mark.parametrize("name", measures())
def test_orientation_does_not_matter(name, pair):
    """From the activations of narrow representations, or from their n x n kernels alone."""
    if name == "pwcca":
        pytest.skip("needs the activations")
    kernels = [summarise(x) for x in pair]
    bare = [
        Kernel(**{**vars_of(kernel), "columns": None, "given": {"matrix": kernel.matrix}})
        for kernel in kernels
    ]
    np.testing.assert_allclose(
        compare_all(bare, name),
        compare_all(kernels, name),
        atol=2e-7 if name in ("procrustes", "shape_angular") else 1e-10,
    )


def vars_of(kernel):
    return {key: getattr(kernel, key) for key in Kernel.__dataclass_fields__}


@pytest.mark.parametrize("name", measures())
def test_half_precision_and_tensors(name, pair):
    halves = [x.astype(np.float16) for x in pair]
    expected = compare(*(x.astype(np.float64) for x in halves), name)
    assert compare(*halves, name) == pytest.approx(expected, rel=1e-9)
    assert compare(*(torch.from_numpy(x) for x in halves), name) == pytest.approx(
        expected, rel=1e-9
    )
    reshaped = [halves[0].reshape(N, 3, 2, 2), halves[1][:, :, None]]
    assert compare(*reshaped, name) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("factor", [1e-150, 1e150])
@pytest.mark.parametrize("name", measures())
def test_extreme_magnitudes(name, factor, pair):
    x, y = pair
    assert compare(x * factor, y, name) == pytest.approx(compare(x, y, name), rel=1e-9)


@pytest.mark.parametrize("name", measures())
def test_large_offset_in_single_precision(name, pair):
    """An offset a thousand times the spread costs what float32 loses on storing it."""
    shifted = [(x + 1000).astype(np.float32) for x in pair]
    expected = compare(*(x.astype(np.float64) - 1000 for x in shifted), name)
    assert compare(*shifted, name) == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", [name for name in measures() if find(name).metric])
def test_triangle_inequality(name, rng):
    arrays = [rng.standard_normal((20, d)) * np.geomspace(1, 0.1, d) for d in (3, 5, 9, 15, 30, 60)]
    distance = compare_all(arrays, name)
    assert np.all(distance[:, None, :] <= distance[:, :, None] + distance[None, :, :] + 1e-9)


@pytest.mark.parametrize("name", measures())
@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3e5])
def test_constant_representation_has_no_value(name, constant, pair):
    values, flags = compare_all(
        [pair[0], np.full((N, 5), constant), np.full((N, 90), constant)], name, return_flags=True
    )
    assert np.isfinite(values[0, 0])
    assert np.isnan(values[1:]).all() and np.isnan(values[:, 1:]).all()
    assert set(flags[1:].ravel()) | set(flags[:, 1:].ravel()) == {"constant"}


@pytest.mark.parametrize("name", measures())
@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_clips_have_no_value(name, n, rng):
    values, flags = compare_all(
        [rng.standard_normal((n, 5)), rng.standard_normal((n, 6))], name, return_flags=True
    )
    assert np.isnan(values).all()
    assert set(flags.ravel()) <= {"too_few_rows", "constant"}


@pytest.mark.parametrize("name", measures())
def test_rank_deficient_and_duplicate_features(name, rng):
    x = rng.standard_normal((N, 3)) @ rng.standard_normal((3, 20))
    y = np.repeat(rng.standard_normal((N, 4)), 5, axis=1)
    assert np.isfinite(compare(x, y, name))
    if "linear" in find(name).invariances:
        assert compare(x, y, name) == pytest.approx(compare(x[:, :3], y[:, ::5], name), abs=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(bad, pair):
    x, y = pair
    x[5, 3] = x[9, 0] = bad
    with pytest.raises(ValueError, match="clip 5"):
        compare(x, y)


def test_different_clips_are_refused(pair):
    with pytest.raises(ValueError, match="48 and 40 rows"):
        compare(pair[0], pair[1][:40])


@pytest.mark.parametrize(
    "bad", [np.zeros(5), np.zeros((4, 0)), np.zeros((4, 2), dtype=complex), [["a", "b"]]]
)
def test_what_is_no_representation_is_refused(bad, pair):
    with pytest.raises(ValueError, match="expected real numbers"):
        compare(bad, pair[0])


def test_unknown_names_are_refused(pair):
    known = ", ".join(measures())
    with pytest.raises(ValueError, match=f"unknown measure 'ckaa'; known: {known}"):
        compare(*pair, "ckaa")
    with pytest.raises(ValueError, match="unknown option 'k'; it takes none"):
        compare(*pair, "cka_linear", k=3)
    with pytest.raises(ValueError, match="option variance: got 2"):
        compare(*pair, "svcca", variance=2)


def test_subset_equals_summary_of_the_rows(pair, wide, rng):
    rows = np.sort(rng.permutation(N)[:31])
    for x in (*pair, *wide):
        part = summarise(x).subset(rows)
        whole = summarise(x[rows])
        np.testing.assert_allclose(part.matrix, whole.matrix, atol=1e-13)
        for key in ("scale", "a", "b", "mean_square", "mean_sum", "mean_spread"):
            np.testing.assert_allclose(
                getattr(part, key), getattr(whole, key), rtol=1e-9, atol=1e-11, err_msg=key
            )


def test_raw_geometry_follows_from_the_summary(pair, wide):
    for x in (*pair, *wide):
        kernel = summarise(x)
        gram = kernel.matrix + kernel.a[:, None] + kernel.a + kernel.mean_square
        np.testing.assert_allclose(gram * kernel.scale**2, x @ x.T, rtol=1e-9, atol=1e-9)


def test_activations_may_arrive_in_blocks(wide):
    x = wide[0]
    kernel = summarise_blocks(lambda: feature_blocks(x, 11), x.shape, eps=2.2e-16)
    np.testing.assert_allclose(kernel.matrix, summarise(x).matrix, atol=1e-15)
    np.testing.assert_allclose(
        np.concatenate(list(kernel.features()), axis=1) * kernel.scale,
        x - x.mean(axis=0),
        atol=1e-12,
    )


@pytest.mark.parametrize("name", ["procrustes", "cca_mean", "svcca", "pwcca"])
def test_ranks_stand_beside_values(name, pair, rng):
    flat = rng.standard_normal((N, 3)) @ rng.standard_normal((3, 20))
    result = all_pairs([pair[0], flat], name)
    assert result.rank_a[1].tolist() == [3, 3] and result.rank_b[:, 1].tolist() == [3, 3]
    assert result.rank_a[0, 0] <= 12


@pytest.mark.parametrize("name", ["cca_mean", "svcca", "pwcca"])
def test_saturation_is_flagged(name, wide):
    values, flags = compare_all(wide, name, return_flags=True)
    assert (flags == "saturated").all() and np.isfinite(values).all()


def test_stored_precision_cuts_the_rank(rng):
    """Rounding to float16 gives a rank-5 representation full numerical rank.

    The cut sees through it.
    """
    x = (rng.standard_normal((N, 5)) @ rng.standard_normal((5, 200))).astype(np.float16)
    kernel = summarise(x)
    assert len(kernel.singular_values) == N - 1 and kernel.rank == 5


@pytest.mark.parametrize("measure", ["procrustes", "shape_angular", "cca_mean", "svcca"])
def test_representations_are_not_decomposed_to_be_compared_with_themselves(monkeypatch, measure):
    """Their value is known; that of a constant one stays undefined, with the reason."""
    decomposed = []
    norm = nuclear.nuclear_norm

    def counted(product, bound=np.inf):
        decomposed.append(product.shape)
        return norm(product, bound)

    monkeypatch.setattr(nuclear, "nuclear_norm", counted)
    draw = np.random.default_rng(0)
    items = {"a": draw.normal(size=(40, 5)), "b": draw.normal(size=(40, 9)), "c": np.ones((40, 3))}
    found = all_pairs(items, measure)
    assert decomposed == [(5, 9)]
    own = np.diag(found.values)[:2]
    np.testing.assert_allclose(own, find(measure).identity, rtol=0, atol=1e-12)
    assert np.isnan(found.values[2]).all()
    assert set(found.flags[2]) == {"constant"}
