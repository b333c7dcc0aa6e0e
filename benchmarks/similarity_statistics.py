"""Do intervals and p values of the comparison engine keep their promise?

Simulation, printed as Markdown.

    python benchmarks/similarity_statistics.py --repeats 60

Representations are drawn again and again from populations that are known, so that it can be counted
how often a nominal 95 % interval holds what it should, and how often a test at 5 % rejects where
nothing is to be found. All of them share five latent variables to a chosen degree; two of the three
are equally like the first, so that their paired difference is truly zero.
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vidrep.similarity import all_pairs, compare, difference, find, summarise
from vidrep.similarity.cka import u_centre
from vidrep.statistics import NORMAL_QUANTILE

LATENT = 5
MEASURES = (
    "cka_linear_debiased",
    "cka_linear",
    "rsa",
    "knn_jaccard",
    "procrustes",
    "cca_mean",
    "svcca",
    "linear_r2",
)
# No value at infinitely many clips, or not computed.
LIMIT_DEPENDS_ON_N = ("knn_jaccard", "knn_mutual", "knn_rank", "linear_r2", "pwcca")
DRAWS = 19  # re-pairings: enough for an exact test at 5 %
MANY = 2000  # clips of the value at many clips


@dataclass(frozen=True)
class Population:
    """Three representations of ``features`` units that share latent variables.

    Attributes:
        relation: correlation of the others' latent variables with those of the first.
        features: units of each.
        rows: rows of each clip, which share their latent variables.
    """

    name: str
    relation: float
    features: int
    rows: int = 1
    noise: float = 1.0
    mixing: list = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(7)
        self.mixing.extend(rng.standard_normal((LATENT, self.features)) for _ in range(2))

    def draw(self, clips: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Three arrays (clips x rows, features); the second and the third follow one law."""
        shared = rng.standard_normal((clips, LATENT))
        own = math.sqrt(1 - self.relation**2)
        latents = [
            shared,
            *(
                self.relation * shared + own * rng.standard_normal((clips, LATENT))
                for _ in range(2)
            ),
        ]
        mixing = (self.mixing[0], self.mixing[1], self.mixing[1])
        return [
            np.repeat(z @ m, self.rows, axis=0)
            + self.noise * rng.standard_normal((clips * self.rows, self.features))
            for z, m in zip(latents, mixing, strict=True)
        ]


POPULATIONS = (
    Population("unrelated, 8 features", 0.0, 8),
    Population("unrelated, 400 features", 0.0, 400),
    Population("weakly related, 8 features", 0.5, 8),
    Population("strongly related, 8 features", 0.9, 8),
    Population("strongly related, 400 features", 0.9, 400),
)
GROUPED = (
    Population("unrelated, 10 rows a clip", 0.0, 8, rows=10),
    Population("strongly related, 10 rows a clip", 0.9, 8, rows=10),
)


def limit(population: Population, measure: str) -> float:
    """The value of the first two at many clips, averaged over three draws.

    Of a biased estimator it is the unbiased one's value.
    """
    if measure in LIMIT_DEPENDS_ON_N:
        return math.nan
    measure = {"cka_linear": "cka_linear_debiased"}.get(measure, measure)
    rng = np.random.default_rng(1)
    factors = measure in ("procrustes", "shape_angular", "cca_mean", "svcca")
    clips = MANY * (5 if factors else 1) // population.rows
    values = []
    for _ in range(1 if factors else 3):
        first, second, *_ = population.draw(clips, rng)
        values.append(compare(first, second, measure))
    return float(np.mean(values))


def one_draw(
    population: Population, measure: str, clips: int, repeat: int, naive: bool = False
) -> tuple:
    """Value, ci_low, ci_high, null_p and the p value of a difference that is truly zero."""
    drawn = population.draw(clips, np.random.default_rng([repeat, clips]))
    groups = None
    if population.rows > 1 and not naive:
        groups = np.repeat(np.arange(clips), population.rows)
    first, second, third = map(summarise, drawn)
    result = all_pairs(
        [first, second],
        measure,
        intervals=True,
        permutations=DRAWS,
        groups=groups,
        seed=repeat,
    )
    change = difference((first, second), (first, third), measure, groups=groups, seed=repeat)
    return (
        result.values[0, 1],
        result.ci_low[0, 1],
        result.ci_high[0, 1],
        result.null_p[0, 1],
        change.p,
    )


def bootstrap_draw(population: Population, measure: str, clips: int, repeat: int) -> tuple:
    """Value and naive interval of debiased CKA.

    Quantiles over clips drawn with replacement, copies and all.
    """
    rng = np.random.default_rng([repeat, clips])
    centred = [x - x.mean(axis=0) for x in population.draw(clips, rng)[:2]]
    kernels = [x @ x.T for x in centred]

    def value(rows: np.ndarray) -> float:
        a, b = (u_centre(kernel[np.ix_(rows, rows)]) for kernel in kernels)
        return float(np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b))

    values = [value(rng.integers(clips, size=clips)) for _ in range(100)]
    low, high = np.quantile(values, [0.025, 0.975])
    return value(np.arange(clips)), low, high, math.nan, math.nan


def share(hits: np.ndarray) -> str:
    """A percentage with its binomial standard error; a dash where nothing was to be counted."""
    hits = hits[~np.isnan(hits)]
    if not len(hits):
        return "-"
    p = hits.mean()
    variance = max(p * (1 - p), 1 / len(hits) / 4)
    error = math.sqrt(variance / len(hits))
    return f"{100 * p:.0f} ± {100 * error:.0f}"


def covered(low: np.ndarray, high: np.ndarray, target: float) -> np.ndarray:
    """1 where an interval holds the target, 0 where not, NaN without interval or target."""
    unknown = np.isnan(low) | math.isnan(target)
    inside = (low <= target) & (target <= high)
    return np.where(unknown, np.nan, inside)


def simulate(
    label: str,
    population: Population,
    measure: str,
    clips: int,
    repeats: int,
    draw: Callable = one_draw,
) -> str:
    """One line of the table."""
    draws = [draw(population, measure, clips, k) for k in range(repeats)]
    value, low, high, null_p, p = np.array(draws).T
    truth = limit(population, measure)
    spread = value.std(ddof=1)
    width = math.nan
    if not np.isnan(low).all():
        width = np.nanmean(high - low) / 2 / NORMAL_QUANTILE / spread
    columns = (
        label,
        str(clips),
        f"{value.mean():.3f}",
        "-" if math.isnan(truth) else f"{truth:.3f}",
        f"{spread:.3f}",
        "-" if math.isnan(width) else f"{width:.2f}",
        share(covered(low, high, value.mean())),
        share(covered(low, high, truth)),
        share(significant(null_p)),
        share(significant(p)),
    )
    return f"| {' | '.join(columns)} |"


def significant(p: np.ndarray) -> np.ndarray:
    """1 where a p value is at most 0.05, 0 where not, NaN without one."""
    return np.where(np.isnan(p), np.nan, p <= 0.05)


HEADER = """
| measure | clips | mean | at many clips | spread | error / spread \
| covers mean, % | covers many, % | null_p, % | p, % |
|---|---|---|---|---|---|---|---|---|---|"""


def report(population: Population, args: argparse.Namespace) -> None:
    """Print the table of one population."""
    print(f"\n### {population.name}\n{HEADER}")
    grouped = population.rows > 1
    for measure in args.measures:
        repeats = args.repeats if find(measure).light else args.costly_repeats
        for clips in [24] if grouped else args.clips:
            print(simulate(measure, population, measure, clips, repeats), flush=True)
            if measure == "cka_linear_debiased":
                naive = (lambda *a: one_draw(*a, naive=True)) if grouped else bootstrap_draw
                label = "the same, rows taken as clips" if grouped else "the same, naive bootstrap"
                print(simulate(label, population, measure, clips, repeats, naive), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--repeats", type=int, default=60, help="draws behind each line (default: 60)"
    )
    parser.add_argument(
        "--costly-repeats", type=int, default=30, help="of measures of cubic cost (default: 30)"
    )
    parser.add_argument("--clips", type=int, nargs="+", default=[100], help="n (default: 100)")
    parser.add_argument(
        "--measures", nargs="+", default=MEASURES, help="any (default: " + ", ".join(MEASURES) + ")"
    )
    parser.add_argument("--populations", nargs="+", help="names to choose (default: all)")
    args = parser.parse_args()
    start = time.perf_counter()
    for population in (*POPULATIONS, *GROUPED):
        if not args.populations or any(part in population.name for part in args.populations):
            report(population, args)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
