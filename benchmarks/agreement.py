"""How far our measures are from other people's code.

Prints the largest differences over some pairs, as the table of docs/comparison.md.

    python benchmarks/agreement.py [--clips 120] [--pairs 5]

Needs the dev extra. Pairs share five directions and have offsets; both sides are narrower than the
clips are many, wider, or one of each (float64). A reference that needs narrow representations sees
only those.
"""

import argparse
import math
from functools import partial

import cka as pytorch_cka
import numpy as np
import rsatoolbox
import torch
from ckatorch.core import cka_base
from ckatorch.hsic import hsic1
from scipy.linalg import orthogonal_procrustes, subspace_angles
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import eye_array, kron, vstack
from scipy.spatial.distance import cdist, jensenshannon, pdist
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import cohen_kappa_score, r2_score
from sklearn.neighbors import NearestNeighbors

from vidrep.functional_similarity import agreement
from vidrep.similarity import compare
from vidrep.similarity.cka import u_centre

WIDTHS = {"narrow": (0.2, 0.35), "wide": (1.5, 2.4), "mixed": (0.25, 2.0)}  # features, in clips


def pairs(clips: int, count: int) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Kind -> related representations (clips, features)."""
    rng = np.random.default_rng(0)

    def one(width: int, shared: np.ndarray) -> np.ndarray:
        return (
            shared @ rng.standard_normal((5, width))
            + rng.standard_normal((clips, width))
            + 3 * rng.standard_normal(width)
        )

    found = {}
    for kind, widths in WIDTHS.items():
        drawn = [rng.standard_normal((clips, 5)) for _ in range(count)]
        found[kind] = [
            tuple(one(int(width * clips), shared) for width in widths) for shared in drawn
        ]
    return found


def centred(x):
    return x - x.mean(axis=0)


def debiased_of_pytorch_cka(x, y):
    kernels = [torch.from_numpy(z @ z.T) for z in map(centred, (x, y))]
    both = torch.stack(kernels)
    cross, own, _ = pytorch_cka.hsic(both, both)
    return float(cross[0, 1] / own[0].sqrt() / own[1].sqrt())


def ckatorch(x, y, **how):
    return float(cka_base(torch.from_numpy(x), torch.from_numpy(y), **how))


def of_rsatoolbox(x, y, dissimilarity, how):
    rdms = []
    for z in (x, y):
        dataset = rsatoolbox.data.Dataset(z)
        rdms.append(rsatoolbox.rdm.calc_rdm(dataset, method=dissimilarity))
    return rsatoolbox.rdm.compare(*rdms, method=how).item()


def rotated(x, y):
    width = max(x.shape[1], y.shape[1])
    shapes = []
    for z in map(centred, (x, y)):
        missing = width - z.shape[1]
        shapes.append(np.pad(z / np.linalg.norm(z), ((0, 0), (0, missing))))
    x, y = shapes
    rotation, _ = orthogonal_procrustes(x, y)
    return np.linalg.norm(x @ rotation - y)


def shared_neighbours(x, y):
    lists = []
    for z in (x, y):
        found = NearestNeighbors(n_neighbors=10).fit(z)
        lists.append(found.kneighbors(return_distance=False))
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(*lists, strict=True)]
    return np.mean(shares)


def transported(x, y):
    x, y = (z * math.sqrt(z.shape[1]) / np.linalg.norm(z) for z in map(centred, (x, y)))
    cost = cdist(x.T, y.T, "sqeuclidean")
    a, b = cost.shape
    over_rows = kron(eye_array(a), np.ones((1, b)))
    over_columns = kron(np.ones((1, a)), eye_array(b))
    sums = vstack([over_rows, over_columns])
    weights = np.r_[np.full(a, 1 / a), np.full(b, 1 / b)]
    found = linprog(cost.ravel(), A_eq=sums, b_eq=weights, method="highs")
    return math.sqrt(found.fun)


def paired(x, y):
    width = x.shape[1]
    correlations = np.corrcoef(x.T, y.T)[:width, width:]
    return correlations[linear_sum_assignment(-correlations)].mean()


def ours(name, **options):
    return lambda x, y: compare(x, y, name, **options)


def kappas(x, y):
    """Ours and scikit-learn's kappa of which of four features is largest."""
    given = np.array([z[:, :4].argmax(axis=1) for z in (x, y)])
    equal = np.full((1, len(x)), 1 / len(x))
    mine = agreement.cohen(given, equal)[0, 0, 1]
    return mine, cohen_kappa_score(*given)


def divergences(x, y):
    """Ours and SciPy's mean divergence of distributions over four classes."""
    logits = np.array([z[:, :4] for z in (x, y)])  # (2, n, classes)
    scores = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores /= scores.sum(axis=-1, keepdims=True)
    mine = agreement.divergences(scores, False)[0, 1].mean()
    theirs = np.mean(jensenshannon(*scores, base=2, axis=1) ** 2)
    return mine, theirs


def u_centring(x, y):
    """Ours and ckatorch's unbiased HSIC of distances.

    It is the mean product of U-centred matrices (Szekely and Rizzo 2014).
    """
    n = len(x)
    a = cdist(x, x)
    b = cdist(y, y)
    theirs = float(hsic1(torch.from_numpy(a)[None], torch.from_numpy(b)[None]))
    mine = np.sum(u_centre(a) * u_centre(b)) / (n * (n - 3))
    return mine, theirs


def bures(x, y):
    return of_rsatoolbox(x, y, "euclidean", "bures")


def whitened_cosine(x, y):
    return of_rsatoolbox(x, y, "euclidean", "cosine_cov")


def spearman_of_rsatoolbox(x, y):
    return of_rsatoolbox(x, y, "correlation", "spearman")


def spearman_of_scipy(x, y):
    return spearmanr(*(pdist(centred(z), "correlation") for z in (x, y))).statistic


def canonical(x, y):
    return np.cos(subspace_angles(centred(x), centred(y))).mean()


def regressed(x, y):
    return r2_score(y, LinearRegression().fit(x, y).predict(x), multioutput="variance_weighted")


NARROW = ("narrow",)
CHECKS = (  # measure, reference, ours, theirs, kinds of pairs
    ("`cka_linear`", "ckatorch", ours("cka_linear"), ckatorch, WIDTHS),
    ("`cka_linear`", "rsatoolbox, whitened cosine", ours("cka_linear"), whitened_cosine, WIDTHS),
    (
        "`cka_linear_debiased`",
        "ckatorch",
        ours("cka_linear_debiased"),
        partial(ckatorch, unbiased=True),
        WIDTHS,
    ),
    (
        "`cka_linear_debiased`",
        "pytorch-cka",
        ours("cka_linear_debiased"),
        debiased_of_pytorch_cka,
        WIDTHS,
    ),
    ("`procrustes`", "SciPy, best rotation", ours("procrustes"), rotated, WIDTHS),
    ("`procrustes`, cosine", "rsatoolbox, Bures", ours("procrustes", form="cosine"), bures, WIDTHS),
    ("`cca_mean`", "SciPy, subspace angles", ours("cca_mean"), canonical, NARROW),
    (
        "`rsa`, raw features",
        "rsatoolbox, Spearman",
        ours("rsa", centre="none"),
        spearman_of_rsatoolbox,
        WIDTHS,
    ),
    ("`rsa`", "SciPy, Spearman", ours("rsa"), spearman_of_scipy, WIDTHS),
    ("`knn_mutual`", "scikit-learn", ours("knn_mutual"), shared_neighbours, WIDTHS),
    ("`soft_matching`", "SciPy, linear programme", ours("soft_matching"), transported, WIDTHS),
    ("`unit_correlation`", "SciPy, assignment", ours("unit_correlation"), paired, WIDTHS),
    ("`linear_r2`, in sample", "scikit-learn", ours("linear_r2", folds=0), regressed, NARROW),
)
JOINT = (
    ("U-centring", "ckatorch, unbiased HSIC", u_centring),
    ("`kappa`", "scikit-learn", kappas),
    ("`js_divergence`", "SciPy", divergences),
)


def main() -> None:
    """Read the command line, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--pairs", type=int, default=5, help="of each kind")
    args = parser.parse_args()
    found = pairs(args.clips, args.pairs)
    print("| measure | reference | pairs | largest difference |\n| --- | --- | --- | --- |")
    for measure, reference, mine, theirs, kinds in CHECKS:
        largest = max(abs(mine(*pair) - theirs(*pair)) for kind in kinds for pair in found[kind])
        print(f"| {measure} | {reference} | {', '.join(kinds)} | {largest:.0e} |", flush=True)
    for measure, reference, both in JOINT:
        largest = max(
            abs(a - b) for kind in WIDTHS for a, b in (both(*pair) for pair in found[kind])
        )
        print(f"| {measure} | {reference} | {', '.join(WIDTHS)} | {largest:.0e} |", flush=True)


if __name__ == "__main__":
    main()
