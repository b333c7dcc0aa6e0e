"""All pairs at scale: single precision loses no digit.

Memory, device, cores and the way of multiplying change no value.
"""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr
from threadpoolctl import threadpool_limits

from vidrep.similarity import compare_all, linear, machine, measures, summarise
from vidrep.similarity.kernel import Activations
from vidrep.statistics import average_ranks

N = 300  # enough for products in single precision
OFF = ~np.eye(3, dtype=bool)


def make(width, dtype=np.float32, offset=0.0, scale=1.0):
    """Three related representations; offsets are in units of the noise."""
    rng = np.random.default_rng(11)
    shared = rng.standard_normal((N, 4))
    arrays = [
        shared @ rng.standard_normal((4, width)) + rng.standard_normal((N, width)) for _ in range(3)
    ]
    return [((x + offset * rng.standard_normal(width)) * scale).astype(dtype) for x in arrays]


def exact(arrays, name):
    """All values from the printed formulas, in float64."""
    arrays = [x.astype(np.float64) - x.astype(np.float64).mean(axis=0) for x in arrays]
    arrays = [x / np.linalg.norm(x) for x in arrays]
    if name == "rsa":
        return spearmanr(np.array([pdist(x, "correlation") for x in arrays]), axis=1).statistic
    kernels = [x @ x.T for x in arrays]
    if name == "cka_linear_debiased":  # Song et al. 2012, eq. 5
        kernels = [k - np.diag(np.diag(k)) for k in kernels]

    def hsic(k, m):
        if name == "cka_linear":
            return np.sum(k * m)
        return (
            np.sum(k * m)
            + k.sum() * m.sum() / (N - 1) / (N - 2)
            - 2 / (N - 2) * k.sum(axis=0) @ m.sum(axis=0)
        )

    products = np.array([[hsic(k, m) for m in kernels] for k in kernels])
    return products / np.sqrt(np.diag(products)) / np.sqrt(np.diag(products))[:, None]


def has_gpu():
    import torch  # slow

    return torch.cuda.is_available()


CASES = {
    "plain": {},
    "half": {"dtype": np.float16},
    "offset": {"offset": 300.0},
    "half, offset": {"dtype": np.float16, "offset": 300.0},
    "huge": {"scale": 1e30},
    "huge, offset": {"scale": 1e30, "offset": 300.0},
    "tiny": {"scale": 1e-30},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [20, 700])
@pytest.mark.parametrize("name", ["cka_linear", "cka_linear_debiased", "rsa"])
def test_single_and_half_precision_give_the_float64_answer(name, width, case):
    arrays = make(width, **CASES[case])
    expected = exact(arrays, name)
    assert np.all(np.abs(expected[OFF]) > 0.05)
    np.testing.assert_allclose(compare_all(arrays, name), expected, rtol=1e-6)


@pytest.mark.slow
def test_weak_relations_keep_their_digits():
    """Debiased values near zero, wide activations.

    What is left after the diagonal is a small part of the whole.
    """
    rng = np.random.default_rng(2)
    arrays = [rng.standard_normal((N, 20_000)).astype(np.float32) for _ in range(3)]
    np.testing.assert_allclose(compare_all(arrays), exact(arrays, "cka_linear_debiased"), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_ways_of_multiplying_agree(dtype):
    kernels = [Activations(x) for width in (5, 40, 350) for x in make(width, dtype)]
    ways = [way(kernels, np.dtype(dtype)) for way in (linear._from_features, linear._from_kernels)]
    scale = np.sqrt(np.diag(ways[1][0]))
    tolerance = 1e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(*((off / scale / scale[:, None]) for off, _ in ways), atol=tolerance)
    np.testing.assert_allclose(ways[0][1], ways[1][1], rtol=tolerance)


def test_the_cheaper_way_is_taken():
    narrow, wide = ([Activations(x) for x in make(width)] for width in (20, 700))
    assert linear._narrow(narrow, np.dtype(np.float32))
    assert not linear._narrow(wide, np.dtype(np.float32)) and not linear._narrow(
        [*narrow, *wide], np.dtype(np.float32)
    )
    bare = [summarise(x).subset(np.arange(N)) for x in make(20)]  # kernels without features
    assert not linear._narrow(bare, np.dtype(np.float32))
    np.testing.assert_allclose(compare_all(bare), compare_all(make(20)), rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["cka_linear_debiased", "rsa", "knn_jaccard", "procrustes", "linear_r2"]
)
def test_memory_does_not_change_values(name):
    arrays = [x[:40] for x in make(60, np.float64) + make(9, np.float64)]
    expected = compare_all(arrays, name)
    for memory_mb in (0.01, 0.3):
        np.testing.assert_allclose(
            compare_all(arrays, name, memory_mb=memory_mb), expected, atol=1e-10
        )


def test_memory_is_kept_to():
    """Thirty kernels would take 10 MiB."""
    arrays = [x for _ in range(10) for x in make(400)]
    expected = compare_all(arrays)
    tracemalloc.start()
    values = compare_all(arrays, memory_mb=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(values, expected, atol=1e-7)
    # twice the two centred arrays of 0.5 MB that the cores work on, and 2 MiB of tiles
    assert peak < 6 * 2**20


@pytest.mark.parametrize("name", measures())
def test_cores_do_not_change_a_bit(name):
    arrays = [x[:40] for x in make(60) + make(9)]
    values = []
    for cores in (1, 2):
        with threadpool_limits(cores):
            values.append(compare_all(arrays, name))
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("width", [20, 700])
@pytest.mark.parametrize(
    "name", ["cka_linear", "cka_linear_debiased", "cka_rbf", "rsa", "procrustes"]
)
def test_torch_gives_the_numbers_of_numpy(name, width, device, monkeypatch):
    if device == "cuda" and not has_gpu():
        pytest.skip("no GPU here")
    arrays = make(width)
    expected = compare_all(arrays, name)
    monkeypatch.setattr(machine, "_torch_device", lambda _: device)
    np.testing.assert_allclose(compare_all(arrays, name), expected, rtol=1e-6, atol=1e-7)


def test_unknown_devices_are_refused():
    with pytest.raises(ValueError, match="device: got 'tpu', expected cpu, cuda or auto"):
        compare_all(make(5), device="tpu")
    if not has_gpu():
        np.testing.assert_array_equal(compare_all(make(5), device="auto"), compare_all(make(5)))
        with pytest.raises(ValueError, match="no GPU here"):
            compare_all(make(5), device="cuda")


def test_representations_without_a_value():
    flat = np.full((N, 50), 0.1, np.float32)
    broken = make(5)[0]
    equidistant = np.eye(N, dtype=np.float32)  # nothing is left of it without the diagonal
    values, flags = compare_all([*make(50), flat, equidistant], return_flags=True)
    assert flags[0].tolist() == ["", "", "", "constant", "rank_zero"] and np.isnan(values[3:]).all()
    np.testing.assert_allclose(values[:3, :3], exact(make(50), "cka_linear_debiased"), rtol=1e-6)
    broken[7, 2] = np.nan
    with pytest.raises(ValueError, match="representation 1: activations of clip 7"):
        compare_all([make(5)[1], broken])


@pytest.mark.parametrize("kind", ["distinct", "ties", "all tied", "last bits", "negative"])
def test_average_ranks(kind):
    rng = np.random.default_rng(0)
    values = rng.random(5000)
    if kind == "ties":
        values = np.round(values, 2)
    elif kind == "all tied":
        values[:] = 0.5
    elif kind == "last bits":
        values = 1 + rng.integers(0, 40, 5000) * np.finfo(np.float64).eps
    elif kind == "negative":
        values -= 0.5
    np.testing.assert_array_equal(average_ranks(values), rankdata(values))
