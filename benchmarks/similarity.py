"""All pairs of R representations: this library against others.

Against public packages, pairwise textbook code and the bare matrix products.

    python benchmarks/similarity.py                          # R = 40, n = 2000, d = 64, 512, 4096
    python benchmarks/similarity.py --growth                 # cost as R, n and d grow
    python benchmarks/similarity.py --gpu                    # this library: CUDA beside CPU

Every competitor gets the same float32 arrays and a process of its own; peak memory is what it needs
beyond the arrays. What would take long is timed on 2 (pairwise code) or 2 and 8 representations and
multiplied up (marked ~). Prints Markdown.
"""

import argparse
import importlib
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np

Arrays = Sequence[np.ndarray]
# competitors that take longer are timed once, and on fewer representations where they work pair by
# pair,
LIMIT_S = 5
LIMIT_ALONE_S = 60  # or prepare each representation once and still take longer than this


def make_arrays(representations: int, clips: int, features: int) -> list[np.ndarray]:
    """Related representations (n, d) float32 with decaying spectra."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((clips, 32), dtype=np.float32)
    decay = np.arange(1, features + 1, dtype=np.float32) ** -0.5
    noise = (
        2 * rng.standard_normal((clips, features), dtype=np.float32) for _ in range(representations)
    )
    return [
        (shared @ rng.standard_normal((32, features), dtype=np.float32) + part) * decay
        for part in noise
    ]


def kernel_floor(arrays: Arrays) -> np.ndarray:
    """Kernels and their inner products, without centring, scaling or a thought for precision."""
    kernels = np.empty((len(arrays), len(arrays[0]) ** 2), np.float32)
    for x, row in zip(arrays, kernels, strict=True):
        np.matmul(x, x.T, out=row.reshape(len(x), len(x)))
    return kernels @ kernels.T


def feature_floor(arrays: Arrays) -> np.ndarray:
    """All products of features, squared and summed."""
    count = len(arrays)
    d = arrays[0].shape[1]
    joint = np.concatenate(arrays, axis=1)
    product = (joint.T @ joint).reshape(count, d, count, d)
    return np.einsum("idje,idje->ij", product, product)


def pairwise(function: Callable) -> Callable[[Arrays], np.ndarray]:
    """All pairs by calling a function of two arrays for each."""

    def run(arrays: Arrays) -> np.ndarray:
        values = np.empty((len(arrays), len(arrays)))
        for i, j in combinations_with_replacement(range(len(arrays)), 2):
            values[i, j] = function(arrays[i], arrays[j])
            values[j, i] = values[i, j]
        return values

    return run


def textbook_cka(x: np.ndarray, y: np.ndarray) -> float:
    x = x - x.mean(axis=0)
    y = y - y.mean(axis=0)
    if x.shape[1] > len(x):
        k = x @ x.T
        m = y @ y.T
        return float(np.sum(k * m) / np.linalg.norm(k) / np.linalg.norm(m))
    inner = np.linalg.norm(x.T @ y) ** 2
    return float(inner / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y))


def textbook_debiased(x: np.ndarray, y: np.ndarray) -> float:
    n = len(x)
    kernels = []
    for z in (x, y):
        z = z - z.mean(axis=0)
        k = z @ z.T
        np.fill_diagonal(k, 0)
        row = k.sum(axis=0) / (n - 2)
        k = k - row - row[:, None] + row.sum() / (n - 1)
        np.fill_diagonal(k, 0)
        kernels.append(k)
    k, m = kernels
    return float(np.sum(k * m) / np.linalg.norm(k) / np.linalg.norm(m))


def textbook_procrustes(x: np.ndarray, y: np.ndarray) -> float:
    x = x - x.mean(axis=0)
    y = y - y.mean(axis=0)
    cosine = np.linalg.norm(x.T @ y, "nuc") / np.linalg.norm(x) / np.linalg.norm(y)
    return float(np.sqrt(max(2 - 2 * cosine, 0)))


def textbook_rsa(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.spatial.distance import pdist
    from scipy.stats import spearmanr

    left = pdist(x - x.mean(axis=0), "correlation")
    right = pdist(y - y.mean(axis=0), "correlation")
    return spearmanr(left, right).statistic


def textbook_cca(x: np.ndarray, y: np.ndarray) -> float:
    left, _ = np.linalg.qr(x - x.mean(axis=0))
    right, _ = np.linalg.qr(y - y.mean(axis=0))
    return float(np.mean(np.linalg.svd(left.T @ right, compute_uv=False)))


def textbook_svcca(x: np.ndarray, y: np.ndarray) -> float:
    bases = []
    for z in (x, y):
        left, values, _ = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
        share = np.cumsum(values**2) / np.sum(values**2)
        kept = int(np.searchsorted(share, 0.99)) + 1
        bases.append(left[:, :kept])
    return float(np.mean(np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)))


def textbook_neighbours(x: np.ndarray, y: np.ndarray) -> float:
    sets = []
    for z in (x, y):
        z = z - z.mean(axis=0)
        power = np.sum(z**2, axis=1)
        distances = power[:, None] + power - 2 * z @ z.T
        np.fill_diagonal(distances, np.inf)
        nearest = np.argsort(distances, axis=1)[:, :10]
        sets.append([set(row) for row in nearest.tolist()])
    overlaps = [len(a & b) / len(a | b) for a, b in zip(*sets, strict=True)]
    return float(np.mean(overlaps))


def pytorch_cka(arrays: Arrays) -> np.ndarray:
    cka = importlib.import_module("cka")
    torch = importlib.import_module("torch")
    tensors = [torch.from_numpy(x - x.mean(axis=0)) for x in arrays]
    return cka.cka_from_features(tensors, tensors).numpy()


def ckatorch(arrays: Arrays, unbiased: bool = False) -> np.ndarray:
    core = importlib.import_module("ckatorch.core")
    torch = importlib.import_module("torch")
    one = pairwise(
        lambda x, y: float(
            core.cka_base(torch.from_numpy(x), torch.from_numpy(y), unbiased=unbiased)
        )
    )
    return one(arrays)


def rsatoolbox(arrays: Arrays) -> np.ndarray:
    """Dissimilarities once for each representation, then their rank correlations."""
    toolbox = importlib.import_module("rsatoolbox")
    rdms = [
        toolbox.rdm.calc_rdm(toolbox.data.Dataset(x - x.mean(axis=0)), method="correlation")
        for x in arrays
    ]
    return pairwise(lambda a, b: toolbox.rdm.compare(a, b, "spearman").item())(rdms)


def vidrep(measure: str, device: str = "cpu") -> Callable[[Arrays], np.ndarray]:
    def run(arrays: Arrays) -> np.ndarray:
        return importlib.import_module("vidrep.similarity").compare_all(
            arrays, measure, device=device
        )

    return run


GPU = "vidrep on GPU"
FLOORS = {"floor (kernels)": kernel_floor, "floor (features)": feature_floor}
COMPETITORS: dict[str, dict[str, Callable[[Arrays], np.ndarray]]] = {
    "cka_linear": {"textbook": pairwise(textbook_cka), "ckatorch": ckatorch},
    "cka_linear_debiased": {
        "textbook": pairwise(textbook_debiased),
        "pytorch-cka": pytorch_cka,
        "ckatorch": lambda arrays: ckatorch(arrays, unbiased=True),
    },
    "rsa": {"textbook": pairwise(textbook_rsa), "rsatoolbox": rsatoolbox},
    "knn_jaccard": {"textbook": pairwise(textbook_neighbours)},
    "cca_mean": {"textbook": pairwise(textbook_cca)},
    "svcca": {"textbook": pairwise(textbook_svcca)},
    "procrustes": {"textbook": pairwise(textbook_procrustes)},
}


def functions(measure: str) -> dict[str, Callable[[Arrays], np.ndarray]]:
    """Whoever can be timed for one measure, this library first."""
    return (
        FLOORS
        if measure == "floor"
        else {"vidrep": vidrep(measure), GPU: vidrep(measure, "cuda"), **COMPETITORS[measure]}
    )


def child(path: str, measure: str, name: str, count: int, repeats: int) -> None:
    """Time one competitor on the first ``count`` arrays of a file.

    Prints seconds, processor seconds, memory, values as JSON.
    """
    function = functions(measure)[name]
    arrays = list(np.load(path)[:count])
    small = [x[:64, :64].copy() for x in arrays[:2]]
    try:
        function(small)  # imports, and threads that are started once
    except ImportError:
        print(json.dumps({"missing": True}))
        return
    before = resident_mb()
    times = []
    processor = []
    for _ in range(repeats):
        wall = time.perf_counter()
        used = time.process_time()
        values = function(arrays)
        times.append(time.perf_counter() - wall)
        processor.append(time.process_time() - used)
        if times[-1] > LIMIT_S:
            break
    found = {
        "seconds": statistics.median(times),
        "processor": statistics.median(processor),
        "mb": resident_mb() - before,
    }
    print(json.dumps({**found, "values": np.asarray(values, dtype=float).tolist()}))


def resident_mb() -> float:
    """Largest memory of this process so far.

    That of ``getrusage`` counts what its parent had when it forked.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1024


def measure_one(path: str, measure: str, name: str, count: int, repeats: int) -> dict:
    command = [sys.executable, __file__, "--child", path, measure, name, str(count), str(repeats)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return json.loads(
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    )


def timed(path: str, measure: str, name: str, count: int, repeats: int) -> dict:
    """A competitor's result for all representations.

    It comes from fewer of them where all would take too long.

    Pairwise code costs b for each pair, which 2 tell; other code a for each representation besides,
    which 2 and 8 tell apart.
    """
    quick = measure in ("floor", "cka_linear", "cka_linear_debiased") and name not in (
        "textbook",
        "ckatorch",
    )
    if quick or count <= 8:
        return measure_one(path, measure, name, count, repeats)
    two = measure_one(path, measure, name, 2, repeats)
    if "missing" in two:
        return two
    alone = name in ("vidrep", GPU, "rsatoolbox")
    eight = measure_one(path, measure, name, 8, repeats) if alone else {}
    guess = {"values": (eight or two)["values"], "mb": (eight or two)["mb"], "part": True}
    for key in ("seconds", "processor"):
        each_pair = max(eight[key] - 4 * two[key], 0) / 24 if alone else two[key] / 3
        each = max(two[key] - 3 * each_pair, 0) / 2 if alone else 0
        guess[key] = each * count + each_pair * count * (count + 1) / 2
    return (
        measure_one(path, measure, name, count, repeats)
        if guess["seconds"] < (LIMIT_ALONE_S if alone else LIMIT_S)
        else guess
    )


def table(
    count: int,
    clips: int,
    features: int,
    repeats: int,
    measures: Sequence[str],
    gpu: bool,
    folder: str,
) -> None:
    """Print the rows of one size.

    With ``gpu`` those of this library alone, on the CPU and on a CUDA device.
    """
    path = os.path.join(folder, "arrays.npy")
    np.save(path, np.array(make_arrays(count, clips, features)))
    floors = {
        name: measure_one(path, "floor", name, count, repeats)
        for name in FLOORS
        if features < clips or "kernels" in name
    }
    base = min(result["seconds"] for result in floors.values())
    print(f"\n### R = {count}, n = {clips}, d = {features}\n")
    print(
        "| measure | code | seconds | processor s | peak MB | x floor | x vidrep | largest"
        " difference |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for name, result in floors.items():
        line("", name, result, base, None)
    for measure in measures:
        own = None
        for name in (
            ("vidrep", GPU) if gpu else [name for name in functions(measure) if name != GPU]
        ):
            result = timed(path, measure, name, count, repeats)
            line(measure, name, result, base, own)
            own = own or result


def line(measure: str, name: str, result: dict, base: float, own: dict | None) -> None:
    if "missing" in result:
        print(f"| {measure} | {name} | not installed | | | | | |", flush=True)
        return
    mark = "~" if "part" in result else ""
    ratio = ""
    difference = ""
    if own:
        ratio = f"{result['seconds'] / own['seconds']:.1f}"
        values = np.array(result["values"], dtype=float)
        expected = np.array(own["values"], dtype=float)
        size = min(len(values), len(expected))
        difference = f"{np.nanmax(np.abs(values[:size, :size] - expected[:size, :size])):.0e}"
    cells = [
        measure,
        name,
        f"{mark}{result['seconds']:.3g}",
        f"{mark}{result['processor']:.3g}",
        f"{result['mb']:.0f}",
    ]
    print(
        f"| {' | '.join(cells)} | {result['seconds'] / base:.2f} | {ratio} | {difference} |",
        flush=True,
    )


def growth(repeats: int, measures: Sequence[str], folder: str) -> None:
    """Print how the cost of this library grows.

    With the number of representations, clips and features.
    """
    print("\n### Growth\n\n| measure | R | n | d | seconds | processor s | peak MB | x floor |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    sizes = (
        [(count, 1000, 512) for count in (20, 100, 500)]
        + [(20, n, 512) for n in (500, 2000, 4000)]
        + [(500, 2000, 512)]
    )
    for count, clips, features in [*sizes, *((20, 1000, d) for d in (64, 4096, 16384))]:
        path = os.path.join(folder, "arrays.npy")
        np.save(path, np.array(make_arrays(count, clips, features)))
        names = [name for name in FLOORS if count * features < 20_000 or "kernels" in name]
        # 8 GB of kernels: no floor
        names = [name for name in names if count * clips**2 <= 5e8 or "features" in name]
        base = min(
            (measure_one(path, "floor", name, count, repeats)["seconds"] for name in names),
            default=np.nan,
        )
        for measure in measures:
            found = measure_one(path, measure, "vidrep", count, repeats)
            row = (
                f"| {measure} | {count} | {clips} | {features} | {found['seconds']:.3g} |"
                f" {found['processor']:.3g} "
            )
            print(f"{row}| {found['mb']:.0f} | {found['seconds'] / base:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--representations", type=int, default=40, help="R (default: 40)")
    parser.add_argument("--clips", type=int, default=2000, help="n (default: 2000)")
    parser.add_argument(
        "--features", type=int, nargs="+", default=[64, 512, 4096], help="d (default: 64 512 4096)"
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="runs behind each median (default: 5)"
    )
    parser.add_argument(
        "--measures", nargs="+", help="only these measures (default: all of the benchmark)"
    )
    parser.add_argument("--growth", action="store_true", help="only how cost grows with R, n and d")
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="only this library, on the CPU and on the first CUDA device",
    )
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        path, measure, name, count, repeats = arguments.child
        child(path, measure, name, int(count), int(repeats))
        return
    print(
        f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}; other load before:"
        f" {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        if arguments.growth:
            growth(arguments.repeats, arguments.measures or ["cka_linear_debiased"], folder)
            return
        for features in arguments.features:
            chosen = arguments.measures or list(COMPETITORS)
            table(
                arguments.representations,
                arguments.clips,
                features,
                arguments.repeats,
                chosen,
                arguments.gpu,
                folder,
            )


if __name__ == "__main__":
    main()
