"""All pairs of R representations: this library against pairwise textbook code, public packages and the bare matrix products.

    python benchmarks/similarity.py --representations 40 --clips 2000 --features 64 512 4096

Every row starts from the same float32 arrays in memory. Packages that are not installed are left out. The floor is what the
products alone cost: the kernels of all representations and the inner products of all kernels, in float32.
"""

import argparse
import importlib
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from vidrep.similarity import compare_all

Arrays = Sequence[np.ndarray]


def make_arrays(representations: int, clips: int, features: int) -> list[np.ndarray]:
    """Related representations (n, d) float32 with decaying spectra."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((clips, 32))
    decay = np.arange(1, features + 1) ** -0.5
    noise = (2 * rng.standard_normal((clips, features)) for _ in range(representations))
    return [((shared @ rng.standard_normal((32, features)) + part) * decay).astype(np.float32) for part in noise]


def floor(arrays: Arrays) -> np.ndarray:
    """Kernels and their inner products, without centring, scaling or a thought for precision."""
    kernels = np.stack([x @ x.T for x in arrays]).reshape(len(arrays), -1)
    return kernels @ kernels.T


def pairwise(function: Callable) -> Callable[[Arrays], np.ndarray]:
    """All pairs by calling a function of two arrays for each."""

    def run(arrays: Arrays) -> np.ndarray:
        values = np.empty((len(arrays), len(arrays)))
        for i, j in combinations_with_replacement(range(len(arrays)), 2):
            values[i, j] = values[j, i] = function(arrays[i], arrays[j])
        return values

    return run


def textbook_cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    if x.shape[1] > len(x):
        k, m = x @ x.T, y @ y.T
        return float(np.sum(k * m) / np.linalg.norm(k) / np.linalg.norm(m))
    return float(np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y))


def textbook_procrustes(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    cosine = np.linalg.norm(x.T @ y, "nuc") / np.linalg.norm(x) / np.linalg.norm(y)
    return float(np.sqrt(max(2 - 2 * cosine, 0)))


def textbook_rsa(x: np.ndarray, y: np.ndarray) -> float:
    return spearmanr(*(pdist(z - z.mean(axis=0), "correlation") for z in (x, y))).statistic


def textbook_cca(x: np.ndarray, y: np.ndarray) -> float:
    bases = [np.linalg.qr(z - z.mean(axis=0))[0] for z in (x, y)]
    return float(np.mean(np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)))


def textbook_neighbours(x: np.ndarray, y: np.ndarray) -> float:
    sets = []
    for z in (x, y):
        power = np.sum((z - z.mean(axis=0)) ** 2, axis=1)
        distances = power[:, None] + power - 2 * (z - z.mean(axis=0)) @ (z - z.mean(axis=0)).T
        np.fill_diagonal(distances, np.inf)
        sets.append([set(row) for row in np.argsort(distances, axis=1)[:, :10].tolist()])
    return float(np.mean([len(a & b) / len(a | b) for a, b in zip(*sets, strict=True)]))


def pytorch_cka(arrays: Arrays) -> np.ndarray:
    cka, torch = importlib.import_module("cka"), importlib.import_module("torch")
    tensors = [torch.from_numpy(x - x.mean(axis=0)) for x in arrays]
    return cka.cka_from_features(tensors, tensors).numpy()


def ckatorch(arrays: Arrays) -> np.ndarray:
    core, torch = importlib.import_module("ckatorch.core"), importlib.import_module("torch")
    return pairwise(lambda x, y: float(core.cka_base(torch.from_numpy(x), torch.from_numpy(y))))(arrays)


def rsatoolbox(arrays: Arrays) -> np.ndarray:
    toolbox = importlib.import_module("rsatoolbox")
    rdms = [toolbox.rdm.calc_rdm(toolbox.data.Dataset(x - x.mean(axis=0)), method="correlation") for x in arrays]
    return pairwise(lambda a, b: toolbox.rdm.compare(a, b, "spearman").item())(rdms)


ROWS = (
    ("cka_linear", {"textbook": pairwise(textbook_cka), "ckatorch": ckatorch}),
    ("cka_linear_debiased", {"pytorch-cka": pytorch_cka}),
    ("rsa", {"textbook": pairwise(textbook_rsa), "rsatoolbox": rsatoolbox}),
    ("procrustes", {"textbook": pairwise(textbook_procrustes)}),
    ("cca_mean", {"textbook": pairwise(textbook_cca)}),
    ("knn_jaccard", {"textbook": pairwise(textbook_neighbours)}),
)


def median_time(function: Callable[[Arrays], np.ndarray], arrays: Arrays, repeats: int) -> tuple[float, np.ndarray]:
    """Median wall time in seconds, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        values = function(arrays)
        times.append(time.perf_counter() - start)
    return statistics.median(times), values


def report(arrays: Arrays, repeats: int, measures: Sequence[str] | None) -> None:
    """Print one line for each measure and competitor: seconds, ratio to this library, largest difference."""
    base, _ = median_time(floor, arrays, repeats)
    shape = f"R = {len(arrays)}, n = {arrays[0].shape[0]}, d = {arrays[0].shape[1]}"
    print(f"{shape}: bare products {base:.3f} s")
    for measure, others in ROWS:
        if measures and measure not in measures:
            continue
        own, values = median_time(lambda arrays, name=measure: compare_all(arrays, name), arrays, repeats)
        print(f"  {measure:20} {'vidrep':12} {own:9.3f} s   {own / base:7.1f} x floor")
        for name, function in others.items():
            try:
                seconds, expected = median_time(function, arrays, repeats)
            except ImportError:
                print(f"  {'':20} {name:12} not installed")
                continue
            difference = float(np.nanmax(np.abs(values - expected)))
            print(f"  {'':20} {name:12} {seconds:9.3f} s   {seconds / own:7.1f} x vidrep   largest difference {difference:.0e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--representations", type=int, default=12, help="R (default: 12)")
    parser.add_argument("--clips", type=int, default=300, help="n (default: 300)")
    parser.add_argument("--features", type=int, nargs="+", default=[64, 512], help="d, one run each (default: 64 512)")
    parser.add_argument("--repeats", type=int, default=3, help="runs behind each median (default: 3)")
    parser.add_argument("--measures", nargs="+", help="only these measures (default: all of the benchmark)")
    arguments = parser.parse_args()
    for features in arguments.features:
        report(make_arrays(arguments.representations, arguments.clips, features), arguments.repeats, arguments.measures)


if __name__ == "__main__":
    main()
