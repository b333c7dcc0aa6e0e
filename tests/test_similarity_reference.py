"""Values of the measures against printed formulas and other people's libraries."""

import math

import cka as pytorch_cka
import numpy as np
import pytest
import rsatoolbox
import torch
from ckatorch.core import cka_base
from ckatorch.hsic import hsic1
from scipy.linalg import orthogonal_procrustes, subspace_angles
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import eye_array, kron, vstack
from scipy.spatial import procrustes
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import kendalltau, pearsonr, spearmanr
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.neighbors import NearestNeighbors

from vidrep.measures import knn_rank
from vidrep.measures.linear_r2 import folds_of
from vidrep.similarity import all_pairs, compare, compare_all, matching, summarise
from vidrep.similarity.cka import squared_distances, u_centre
from vidrep.similarity.nuclear import nuclear_norm
from vidrep.statistics import RIDGE_PENALTIES

N = 40
ATOL = 1e-10  # both sides work in float64


@pytest.fixture(params=["narrow", "wide", "mixed"])
def pair(request):
    """Related representations with offsets; fewer features than clips, more, or one of each."""
    rng = np.random.default_rng(3)
    shared = rng.standard_normal((N, 5))
    dx, dy = {"narrow": (9, 14), "wide": (70, 110), "mixed": (12, 80)}[request.param]
    x = shared @ rng.standard_normal((5, dx)) + rng.standard_normal((N, dx)) + 3
    y = (
        shared @ rng.standard_normal((5, dy)) * 2
        + rng.standard_normal((N, dy))
        - rng.standard_normal(dy)
    )
    return x, y


def centred(x):
    return x - x.mean(axis=0)


def biased_hsic(kernel, other):
    centring = np.eye(N) - 1 / N
    return np.trace(kernel @ centring @ other @ centring)


def unbiased_hsic(kernel, other):
    """Song et al. 2012, eq. 5."""
    k, m = (z - np.diag(np.diag(z)) for z in (kernel, other))
    return (
        np.trace(k @ m) + k.sum() * m.sum() / (N - 1) / (N - 2) - 2 / (N - 2) * (k @ m).sum()
    ) / (N * (N - 3))


def alignment(kernel, other, hsic):
    return hsic(kernel, other) / np.sqrt(hsic(kernel, kernel)) / np.sqrt(hsic(other, other))


def test_linear_cka(pair):
    x, y = map(centred, pair)
    feature_form = np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)
    assert compare(*pair, "cka_linear") == pytest.approx(feature_form, abs=ATOL)


def test_debiased_cka(pair):
    x, y = pair
    assert compare(x, y) == pytest.approx(alignment(x @ x.T, y @ y.T, unbiased_hsic), abs=ATOL)


@pytest.mark.parametrize("median", ["distinct", "all"])
@pytest.mark.parametrize("debiased", [False, True])
def test_rbf_cka(pair, median, debiased):
    kernels = []
    for x in pair:
        distances = cdist(x, x, "sqeuclidean")
        middle = np.median(pdist(x, "sqeuclidean") if median == "distinct" else distances)
        kernels.append(np.exp(-distances / (2 * 0.8**2 * middle)))
    expected = alignment(*kernels, unbiased_hsic if debiased else biased_hsic)
    assert compare(
        *pair, "cka_rbf", bandwidth=0.8, median=median, debiased=debiased
    ) == pytest.approx(expected, abs=ATOL)


def test_rbf_cka_with_a_given_bandwidth(pair):
    kernels = [np.exp(-cdist(x, x, "sqeuclidean") / (2 * 6.0**2)) for x in pair]
    assert compare(*pair, "cka_rbf", bandwidth=6.0, absolute=True) == pytest.approx(
        alignment(*kernels, biased_hsic), abs=ATOL
    )


def test_procrustes(pair):
    """SciPy pads neither side and returns 1 - s^2 for the best rotation and scale."""
    width = max(x.shape[1] for x in pair)
    x, y = (np.pad(z, ((0, 0), (0, width - z.shape[1]))) for z in pair)
    cosine = np.sqrt(1 - procrustes(x, y)[2])
    assert compare(*pair, "procrustes", form="cosine") == pytest.approx(cosine, abs=1e-9)
    assert compare(*pair, "procrustes") == pytest.approx(np.sqrt(2 - 2 * cosine), abs=1e-9)
    assert compare(*pair, "procrustes", form="squared") == pytest.approx(2 - 2 * cosine, abs=1e-9)
    assert compare(*pair, "shape_angular") == pytest.approx(np.arccos(cosine), abs=1e-9)


def test_size_and_shape_distance(pair):
    x, y = map(centred, pair)
    left, _, right = np.linalg.svd(x.T @ y, full_matrices=False)
    expected = (
        np.linalg.norm(x @ left - y @ right.T) ** 2
        + np.linalg.norm(x) ** 2
        - np.linalg.norm(x @ left) ** 2
    )
    expected += np.linalg.norm(y) ** 2 - np.linalg.norm(y @ right.T) ** 2
    assert compare(*pair, "procrustes", form="size_and_shape") == pytest.approx(
        np.sqrt(expected), rel=1e-9
    )


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9])
def test_between_procrustes_and_cca(pair, alpha):
    """Williams et al. 2021: X (alpha I + (1 - alpha) (X^T X)^-1/2), then the best rotation."""
    width = max(x.shape[1] for x in pair)
    whitened = []
    for x in map(centred, pair):
        values, vectors = np.linalg.eigh(x.T @ x)
        kept = values > 1e-9 * values.max()
        values = values[kept] / values[kept].mean()
        vectors = vectors[:, kept]
        x = x / np.sqrt((x**2).sum() / kept.sum())  # mean eigenvalue 1
        z = x @ vectors @ np.diag(alpha + (1 - alpha) / np.sqrt(values)) @ vectors.T
        whitened.append(np.pad(z, ((0, 0), (0, width - z.shape[1]))))
    cosine = np.sqrt(1 - procrustes(*whitened)[2])
    assert compare(*pair, "procrustes", alpha=alpha, form="cosine") == pytest.approx(
        cosine, abs=1e-7
    )
    assert compare(*pair, "shape_angular", alpha=alpha) == pytest.approx(
        np.arccos(cosine), abs=1e-6
    )
    for x in pair:
        assert compare(x, -3 * x + 1, "shape_angular", alpha=alpha) == pytest.approx(0, abs=1e-6)


def test_fully_whitened_shapes_are_canonical_correlations(pair):
    if max(x.shape[1] for x in pair) > N:
        pytest.skip("one space holds the other")
    ranks = [x.shape[1] for x in pair]
    expected = compare(*pair, "cca_mean") * min(ranks) / np.sqrt(ranks[0] * ranks[1])
    assert compare(*pair, "procrustes", alpha=0.0, form="cosine") == pytest.approx(
        expected, abs=1e-9
    )
    with pytest.raises(ValueError, match="partly whitened activations have no size"):
        compare(*pair, "procrustes", alpha=0.5, form="size_and_shape")
    with pytest.raises(ValueError, match="option alpha: got 2, expected a number from 0"):
        compare(*pair, "shape_angular", alpha=2)


def test_truncated_procrustes(pair):
    kept = [PCA(n_components=0.9, svd_solver="full").fit_transform(x) for x in pair]
    assert compare(*pair, "procrustes", variance=0.9) == pytest.approx(
        compare(*kept, "procrustes"), abs=1e-9
    )
    assert compare_all(pair, "procrustes", variance=0.9, return_flags=True)[1][0, 1] == "truncated"


@pytest.mark.parametrize("spread", [0, 4, 12])
def test_nuclear_norm(spread):
    """From squared singular values where they are good enough, else from singular values.

    It is exact whatever the spread.
    """
    rng = np.random.default_rng(1)
    product = rng.standard_normal((30, 40)) * np.logspace(0, -spread, 40)
    assert nuclear_norm(product) == pytest.approx(np.linalg.norm(product, "nuc"), rel=2e-8)
    assert nuclear_norm(product[:2]) == pytest.approx(np.linalg.norm(product[:2], "nuc"), rel=1e-12)
    assert nuclear_norm(np.zeros((5, 6))) == 0


@pytest.mark.parametrize("squared", [False, True])
def test_mean_cca(pair, squared):
    if min(x.shape[1] for x in pair) > N:
        pytest.skip("all correlations are 1")
    correlations = np.cos(subspace_angles(*map(centred, pair)))
    expected = np.mean(correlations ** (2 if squared else 1))
    assert compare(*pair, "cca_mean", squared=squared) == pytest.approx(expected, abs=1e-9)


def test_svcca(pair):
    kept = [PCA(n_components=0.9, svd_solver="full").fit_transform(x) for x in pair]
    assert compare(*pair, "svcca", variance=0.9) == pytest.approx(
        np.mean(np.cos(subspace_angles(*kept))), abs=1e-9
    )


def test_pwcca(pair):
    """By whitening with inverse square roots of the covariances."""
    if max(x.shape[1] for x in pair) > N:
        pytest.skip("covariances are singular")
    x, y = map(centred, pair)

    def whiten(z):
        values, vectors = np.linalg.eigh(z.T @ z)
        return z @ (vectors / np.sqrt(values)) @ vectors.T

    left, correlations, right = np.linalg.svd(whiten(x).T @ whiten(y), full_matrices=False)
    sides = []
    for z, variates in ((x, whiten(x) @ left), (y, whiten(y) @ right.T)):
        weights = np.abs(variates.T @ z).sum(axis=1)
        sides.append(weights @ correlations / weights.sum())
    for which, expected in {"a": sides[0], "b": sides[1], "both": np.mean(sides)}.items():
        assert compare(*pair, "pwcca", weights=which) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("order", ["spearman", "pearson", "kendall"])
@pytest.mark.parametrize("dissimilarity", ["correlation", "cosine", "sqeuclidean"])
@pytest.mark.parametrize("centre", ["features", "none"])
def test_rsa(pair, order, dissimilarity, centre):
    vectors = [pdist(centred(x) if centre == "features" else x, dissimilarity) for x in pair]
    expected = {"spearman": spearmanr, "pearson": pearsonr, "kendall": kendalltau}[order](
        *vectors
    ).statistic
    assert compare(
        *pair, "rsa", dissimilarity=dissimilarity, centre=centre, order=order
    ) == pytest.approx(expected, abs=ATOL)


def test_rsa_leaves_out_dead_clips(pair):
    """A clip without a pattern on one side is left out on both.

    The remaining pairs are ranked anew.
    """
    x, y = pair
    x = x.copy()
    x[7] = 0
    kept = np.delete(np.arange(N), 7)
    values, flags = compare_all([x, y], "rsa", centre="none", return_flags=True)
    expected = spearmanr(pdist(x[kept], "correlation"), pdist(y[kept], "correlation")).statistic
    assert (
        values[0, 1] == pytest.approx(expected, abs=ATOL) == pytest.approx(values[1, 0], abs=ATOL)
    )
    assert flags.tolist() == [["dropped_rows", "dropped_rows"], ["dropped_rows", ""]]
    x[:4] = 0
    values, flags = compare_all([x, y], "rsa", centre="none", return_flags=True)
    assert np.isnan(values[0, 1]) and flags[0, 1] == "undefined_rows" and np.isfinite(values[1, 1])


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_neighbour_overlap(pair, metric, k):
    sets = []
    for x in pair:
        # without self
        found = (
            NearestNeighbors(n_neighbors=k, metric=metric)
            .fit(centred(x))
            .kneighbors(return_distance=False)
        )
        sets.append([set(row) for row in found.tolist()])
    shared = np.array([len(a & b) for a, b in zip(*sets, strict=True)])
    assert compare(*pair, "knn_mutual", k=k, metric=metric) == pytest.approx(
        np.mean(shared) / k, abs=1e-9
    )
    assert compare(*pair, "knn_jaccard", k=k, metric=metric) == pytest.approx(
        np.mean(shared / (2 * k - shared)), abs=1e-7
    )


def test_neighbours_of_tied_clips():
    rng = np.random.default_rng(0)
    binary = rng.integers(0, 2, (N, 3)).astype(float)
    other = rng.standard_normal((N, 4))
    values, flags = compare_all([binary, other], "knn_mutual", return_flags=True)
    assert (
        flags[0, 1] == "tied_rows" and np.isnan(values[0, 1]) and values[1, 1] == pytest.approx(1)
    )


def test_linear_predictivity(pair):
    x, y = map(centred, pair)
    error = total = 0.0
    for test in folds_of(N, 4):
        train = np.setdiff1d(np.arange(N), test)
        power = np.linalg.norm(centred(x[train])) ** 2 / len(train)
        ridge = RidgeCV(RIDGE_PENALTIES * power).fit(x[train], y[train])
        error += np.sum((y[test] - ridge.predict(x[test])) ** 2)
        total += np.sum((y[test] - y[train].mean(axis=0)) ** 2)
    assert compare(*pair, "linear_r2", folds=4) == pytest.approx(1 - error / total, abs=1e-8)


def test_in_sample_predictivity(pair):
    x, y = pair
    expected = r2_score(y, LinearRegression().fit(x, y).predict(x), multioutput="variance_weighted")
    assert compare(x, y, "linear_r2", folds=0) == pytest.approx(expected, abs=1e-9)
    flag = compare_all([x, y], "linear_r2", folds=0, return_flags=True)[1][0, 1]
    assert flag == ("saturated" if x.shape[1] > N else "")


def test_u_centring_gives_the_unbiased_hsic_of_ckatorch(pair):
    distances = [cdist(z, z) for z in pair]
    product = np.sum(u_centre(distances[0]) * u_centre(distances[1])) / (N * (N - 3))
    assert product == pytest.approx(
        float(hsic1(*(torch.from_numpy(z)[None] for z in distances))), rel=ATOL
    )


def test_pytorch_cka(pair):
    grams = torch.stack([torch.from_numpy(x @ x.T) for x in map(centred, pair)])
    cross, own, _ = pytorch_cka.hsic(grams, grams)
    np.testing.assert_allclose(
        compare_all(pair), cross / own.sqrt() / own.sqrt()[:, None], atol=ATOL
    )


def test_ckatorch(pair):
    tensors = [torch.from_numpy(x) for x in pair]
    assert compare(*pair, "cka_linear") == pytest.approx(float(cka_base(*tensors)), abs=ATOL)
    assert compare(*pair) == pytest.approx(float(cka_base(*tensors, unbiased=True)), abs=ATOL)
    rbf = compare(*pair, "cka_rbf", bandwidth=0.5)
    assert rbf == pytest.approx(
        float(cka_base(*tensors, kernel="rbf", threshold=0.5)), abs=2e-2
    )  # median over all entries, lower middle


def test_rsatoolbox(pair):
    def rdm(x, method):
        return rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(x), method=method)

    correlation = [rdm(x, "correlation") for x in pair]
    euclidean = [rdm(x, "euclidean") for x in pair]
    assert compare(*pair, "rsa", centre="none") == pytest.approx(
        rsatoolbox.rdm.compare(*correlation, "spearman").item(), abs=ATOL
    )
    assert compare(*pair, "cka_linear") == pytest.approx(
        rsatoolbox.rdm.compare(*euclidean, "cosine_cov").item(), abs=1e-8
    )
    bures = rsatoolbox.rdm.compare(*euclidean, "bures").item()
    assert compare(*pair, "procrustes", form="cosine") == pytest.approx(bures, abs=1e-6)


@pytest.mark.parametrize("dissimilarity", ["correlation", "euclidean"])
@pytest.mark.parametrize(
    ("order", "method"), [("spearman", "spearman"), ("pearson", "corr"), ("kendall", "tau-b")]
)
def test_rsa_variants_of_rsatoolbox(pair, dissimilarity, order, method):
    rdms = [rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(x), method=dissimilarity) for x in pair]
    ours = {"correlation": "correlation", "euclidean": "sqeuclidean"}[dissimilarity]
    expected = rsatoolbox.rdm.compare(*rdms, method=method).item()
    assert compare(*pair, "rsa", centre="none", dissimilarity=ours, order=order) == pytest.approx(
        expected, abs=1e-9
    )


def test_best_rotation_of_scipy(pair):
    width = max(x.shape[1] for x in pair)
    x, y = (np.pad(centred(z), ((0, 0), (0, width - z.shape[1]))) for z in pair)
    x = x / np.linalg.norm(x)
    y = y / np.linalg.norm(y)
    rotation, cosine = orthogonal_procrustes(x, y)
    assert compare(*pair, "procrustes") == pytest.approx(np.linalg.norm(x @ rotation - y), abs=1e-9)
    assert compare(*pair, "shape_angular") == pytest.approx(math.acos(cosine), abs=1e-9)


def test_mean_cca_of_scikit_learn(pair):
    if max(x.shape[1] for x in pair) > N:
        pytest.skip("scikit-learn whitens without a rank cut")
    kept = min(x.shape[1] for x in pair)
    scores = CCA(n_components=kept, tol=1e-12, max_iter=20000).fit(*pair).transform(*pair)
    correlations = [pearsonr(a, b).statistic for a, b in zip(scores[0].T, scores[1].T, strict=True)]
    assert compare(*pair, "cca_mean") == pytest.approx(np.mean(correlations), abs=1e-6)


@pytest.mark.parametrize("k", [1, 3, 12])
def test_ranks_of_neighbours(pair, k):
    """The formula of the survey, neighbour by neighbour, on scikit-learn's neighbours."""
    lists = [
        NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False).tolist()
        for x in pair
    ]
    values = []
    for first, second in zip(*lists, strict=True):
        shared = set(first) & set(second)
        ranks = [(first.index(j) + 1, second.index(j) + 1) for j in shared]
        total = sum(2 / ((1 + abs(p - q)) * (p + q)) for p, q in ranks)
        values.append(total / sum(1 / m for m in range(1, len(shared) + 1)) if shared else 0)
    assert compare(*pair, "knn_rank", k=k) == pytest.approx(np.mean(values), abs=1e-12)


def test_chance_of_shared_ranks_is_that_of_random_neighbours():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((N, 30)) for _ in range(30)]
    result = all_pairs(arrays, "knn_rank", k=4)
    assert result.values[~np.eye(30, dtype=bool)].mean() == pytest.approx(
        result.chance[0, 1], rel=0.1
    )
    assert knn_rank.weights(4).max() == knn_rank.largest(4)[1] == 1


def units(x, alike):
    x = centred(x)
    return x / np.linalg.norm(x, axis=0) if alike else x * math.sqrt(x.shape[1]) / np.linalg.norm(x)


def cheapest(cost):
    """The least cost of moving uniform weights, as a linear programme (HiGHS)."""
    a, b = cost.shape
    sums = vstack([kron(eye_array(a), np.ones((1, b))), kron(np.ones((1, a)), eye_array(b))])
    return linprog(
        cost.ravel(), A_eq=sums, b_eq=np.r_[np.full(a, 1 / a), np.full(b, 1 / b)], method="highs"
    ).fun


def test_soft_matching_of_a_linear_programme(pair):
    x, y = (units(z, alike=False) for z in pair)
    expected = cheapest(cdist(x.T, y.T, "sqeuclidean"))
    assert compare(*pair, "soft_matching") == pytest.approx(math.sqrt(expected), abs=1e-9)
    x, y = (units(z, alike=True) for z in pair)
    assert compare(*pair, "unit_correlation", plan="soft") == pytest.approx(
        -cheapest(-(x.T @ y)), abs=1e-9
    )


@pytest.mark.parametrize("widths", [(6, 6), (6, 18), (6, 9), (7, 12)])
def test_transport_is_best_and_keeps_its_weights(widths):
    products = np.random.default_rng(2).standard_normal(widths)
    left, right, shares = matching.transport(products)
    assert shares @ products[left, right] == pytest.approx(-cheapest(-products), abs=1e-12)
    np.testing.assert_allclose(np.bincount(left, shares), 1 / widths[0], atol=1e-12)
    np.testing.assert_allclose(np.bincount(right, shares), 1 / widths[1], atol=1e-12)


def test_one_to_one_matching(pair):
    correlations = np.corrcoef(*(x.T for x in pair))[: pair[0].shape[1], pair[0].shape[1] :]
    best = correlations[linear_sum_assignment(-correlations)]
    assert compare(*pair, "unit_correlation") == pytest.approx(best.mean(), abs=1e-12)
    shuffled = pair[0][:, ::-1] * np.linspace(1, 3, pair[0].shape[1]) + 5
    assert compare(pair[0], shuffled, "unit_correlation") == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["soft_matching", "unit_correlation"])
def test_wide_layers_have_no_matching(pair, name):
    widths = sorted(x.shape[1] for x in pair)
    narrow, wide = sorted(pair, key=lambda x: x.shape[1])
    values, flags = compare_all([narrow, wide], name, widest=widths[0], return_flags=True)
    assert flags.tolist() == [
        ["", "too_many_units"],
        ["too_many_units", "too_many_units"],
    ] and np.isfinite(values[0, 0])
    with pytest.raises(ValueError, match="option widest: got 0"):
        compare(*pair, name, widest=0)


def test_unrelated_representations_score_at_chance():
    """Biased CKA grows with width as sqrt(PR PR) / (n - 1); debiased CKA stays at zero."""
    rng = np.random.default_rng(0)
    for d in (10, 100, 1000):
        arrays = [rng.standard_normal((100, d)) for _ in range(16)]
        biased, debiased = (
            all_pairs(arrays, name) for name in ("cka_linear", "cka_linear_debiased")
        )
        off = ~np.eye(16, dtype=bool)
        np.testing.assert_allclose(biased.values[off].mean(), biased.chance[off].mean(), rtol=0.05)
        kernels = [centred(x) @ centred(x).T for x in arrays[:2]]
        ratios = [np.trace(k) ** 2 / np.sum(k**2) for k in kernels]
        assert biased.chance[0, 1] == pytest.approx(np.sqrt(np.prod(ratios)) / 99, abs=1e-10)
        assert abs(debiased.values[off].mean()) < 0.01 and debiased.chance[0, 1] == 0


def test_squared_euclidean_matrix_of_the_summary(pair):
    for x in pair:
        kernel = summarise(x)
        np.testing.assert_allclose(
            squared_distances(kernel) * kernel.scale**2,
            squareform(pdist(x, "sqeuclidean")),
            atol=1e-9,
        )
