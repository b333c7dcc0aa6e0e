"""One summary per representation from which every measure follows.

It is the centred kernel and a few vectors.

With Xc the column-centred activations divided by their Frobenius norm, the summary holds K = Xc
Xc^T (trace 1), a = Xc m, b = Xc 1, ||m||^2, 1^T m for the column means m (in the same unit), and
the number of features. Raw Gram, Pearson and Euclidean geometry follow by algebra: G = K + a 1^T +
1 a^T + ||m||^2. Everything is centred and summed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from vidrep.similarity.centring import (
    EPS,
    as_rows,
    centre,
    centre_single,
    feature_blocks,
    stored_eps,
)
from vidrep.similarity.machine import current

FEWEST_SINGLE = 256  # clips; smaller problems are quick in any precision


@dataclass
class Kernel:
    """Summary of one representation of n clips.

    Attributes:
        n, d: clips and features.
        scale: Frobenius norm of the centred activations; the fields below are in units of it.
        a, b: (n,) products of the centred rows with the column means and with ones.
        mean_square, mean_sum, mean_spread: ||m||^2, 1^T m and the sum of squared deviations of m
            from its own mean.
        eps: relative spacing of the numbers as they were stored; sets the rank cut.
        flag: "" or why no measure can be computed ("constant", "rank_zero").
        columns: (n, d) centred, scaled activations, kept where d <= n.
        given: parts read from a file instead of being computed (matrix, factor, singular_values).
        features: iterates over centred, scaled feature blocks (n, block); only projection-weighted
            CCA asks for it.
        name: shown in errors.
    """

    n: int
    d: int
    scale: float
    a: np.ndarray
    b: np.ndarray
    mean_square: float
    mean_sum: float
    mean_spread: float
    eps: float = EPS
    flag: str = ""
    columns: np.ndarray | None = None
    given: dict = field(default_factory=dict, repr=False)
    features: Callable[[], Iterator[np.ndarray]] | None = field(default=None, repr=False)
    name: str = ""

    def load(self) -> Kernel:
        """Itself; kernels on disk answer the same call by reading."""
        return self

    @cached_property
    def matrix(self) -> np.ndarray:
        """(n, n) centred kernel of trace 1 (zero for a constant representation)."""
        if "matrix" in self.given:
            return self.given["matrix"]
        return current().product(self.columns, self.columns)

    @property
    def product_dtype(self) -> np.dtype:
        """Precision of arrays made from the kernel that are only multiplied.

        Single where it was stored so and time matters.
        """
        single = self.eps > EPS and self.n >= FEWEST_SINGLE
        return np.dtype(np.float32) if single else self.matrix.dtype

    def matrix_rows(self, start: int, stop: int) -> np.ndarray:
        """(stop - start, stop) part of the matrix left of and on its diagonal.

        Of a stored kernel no more is read.
        """
        if hasattr(self.given, "rows"):
            return self.given.rows(start, stop)
        return self.matrix[start:stop, :stop]

    def centred(self, dtype: np.dtype, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Centred blocks (n, f) of activations in ``dtype``, with their column means.

        They are in any unit, and there where ``columns`` are kept.
        """
        for block in feature_blocks(self.columns, width):
            yield block.astype(dtype), np.zeros(block.shape[1])

    @cached_property
    def _factors(self) -> tuple[np.ndarray, np.ndarray]:
        if "factor" in self.given:
            return self.given["factor"], self.given["singular_values"]
        if self.columns is not None:
            left, values, _ = np.linalg.svd(self.columns, full_matrices=False)
            keep = values > max(self.n, self.d) * EPS * values[0]
        else:
            squares, left = np.linalg.eigh(self.matrix.astype(np.float64))
            squares = squares[::-1]
            left = left[:, ::-1]
            keep = squares > self.n * EPS * squares[0]
            values = np.sqrt(np.where(keep, squares, 0))
        return np.ascontiguousarray(left[:, keep] * values[keep]), values[keep]

    @property
    def factor(self) -> np.ndarray:
        """(n, r) principal component scores, largest first: matrix = factor factor^T.

        From the activations where d <= n, otherwise from the kernel, which cannot see singular
        values below 1e-7 of the largest.
        """
        return self._factors[0]

    @property
    def singular_values(self) -> np.ndarray:
        """(r,) singular values of the centred activations of norm 1, largest first."""
        return self._factors[1]

    @cached_property
    def rank(self) -> int:
        """Number of singular values that stand for more than rounding: see ``rank_of``."""
        return self.rank_of(self.singular_values) if not self.flag else 0

    def rank_of(self, values: np.ndarray) -> int:
        """How many singular values are above what rounding to the stored precision could make.

        The cut is the expected largest singular value of the rounding errors, taken as independent
        and uniform: eps / sqrt(12) * rms * (sqrt(n) + sqrt(d)), or what rounding of the
        decomposition itself produces.
        """
        rms = math.sqrt((1 + self.n * self.mean_square) / (self.n * self.d))
        stored = self.eps / math.sqrt(12) * rms * (math.sqrt(self.n) + math.sqrt(self.d))
        computed = max(self.n, self.d) * EPS * values.max(initial=0)
        return int(np.sum(values > max(stored, computed)))

    def subset(self, rows: np.ndarray) -> Kernel:
        """The summary of some of the clips: what ``summarise`` gives for those rows alone."""
        block = self.matrix[rows].take(rows, axis=1)
        equal = np.full(len(rows), 1 / len(rows), dtype=block.dtype)
        row_mean = (block @ equal).astype(np.float64)
        shift_square = float(row_mean.mean())
        shift_mean = self.a[rows].mean()
        before = float(np.trace(block))
        half = (row_mean - shift_square / 2).astype(block.dtype)
        block -= half
        block -= half[:, None]
        total = float(np.trace(block, dtype=np.float64))
        flag = self.flag
        if not flag and total <= 64 * np.finfo(block.dtype).eps * before:
            flag = "constant"
        unit = 1.0 if flag else math.sqrt(total)
        block /= block.dtype.type(unit**2)
        b_mean = self.b[rows].mean()
        spread = (
            self.mean_spread
            + 2 * (shift_mean - b_mean * self.mean_sum / self.d)
            + shift_square
            - b_mean**2 / self.d
        )
        return Kernel(
            n=len(rows),
            d=self.d,
            scale=self.scale * unit,
            a=(self.a[rows] - shift_mean + row_mean - shift_square) / unit**2,
            b=(self.b[rows] - b_mean) / unit,
            mean_square=(self.mean_square + 2 * shift_mean + shift_square) / unit**2,
            mean_sum=(self.mean_sum + b_mean) / unit,
            mean_spread=max(spread, 0) / unit**2,
            eps=self.eps,
            flag=flag,
            given={"matrix": block},
            name=self.name,
        )


class Activations:
    """An array that is summarised only where a measure cannot do with its centred blocks.

    Attributes:
        array: (n, d) activations.
        n, d, eps, name: as of the summary.
    """

    def __init__(self, x, name: str = "") -> None:
        self.array = as_rows(x, name)
        self.n, self.d = self.array.shape
        self.eps = stored_eps(self.array.dtype)
        self.name = name

    def load(self) -> Kernel:
        """The summary, made anew, so that it lives no longer than its use."""
        return summarise(self.array, self.name)

    def centred(self, dtype: np.dtype, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """As ``Kernel.centred``."""
        centred = centre if dtype == np.float64 else centre_single
        for block in feature_blocks(self.array, width):
            yield centred(block, self.name)


def summarise(x, name: str = "", block_features: int | None = None) -> Kernel:
    """The kernel summary of one representation.

    Args:
        x: (n, features, ...) array or tensor; integers and half precision are promoted.
        name: shown in errors.
        block_features: columns handled at a time; does not change the result beyond rounding.

    Raises:
        ValueError: not a numeric array of at least two dimensions, or numbers that are not finite.
    """
    x = as_rows(x, name)
    eps = stored_eps(x.dtype)
    unit = 1.0
    if x.dtype == np.float64:  # squares of anything narrower fit into float64
        peak = float(np.abs(x).max())
        if np.isfinite(peak) and peak and not 1e-100 < peak < 1e100:
            x = x / peak
            unit = peak
    kernel = summarise_blocks(lambda: feature_blocks(x, block_features), x.shape, eps, name)
    return replace(kernel, scale=kernel.scale * unit) if unit != 1 else kernel


def summarise_blocks(
    blocks: Callable[[], Iterable[np.ndarray]],
    shape: tuple[int, int],
    eps: float,
    name: str = "",
) -> Kernel:
    """The kernel summary of a representation that arrives in feature blocks.

    Args:
        blocks: called for an iterator over (n, f) blocks of raw activations, whose widths add up to
            d.
        shape: (n, d).
        eps: relative spacing of the stored numbers.
        name: shown in errors.
    """
    n, d = shape
    narrow = d <= n
    matrix = np.zeros((0, 0) if narrow else (n, n))
    a = np.zeros(n)
    b = np.zeros(n)
    means = []
    columns = np.empty((n, d)) if narrow else None
    start = 0
    total = 0.0
    for block in blocks():
        centred, mean = centre(block, name)
        if narrow:
            columns[:, start : start + centred.shape[1]] = centred
            start += centred.shape[1]
            total += float(np.sum(centred**2))
        else:
            matrix += current().product(centred, centred)
        a += centred @ mean
        b += centred.sum(axis=1)
        means.append(mean)
    mean = np.concatenate(means)
    if not narrow:
        total = float(np.trace(matrix))
    flag = "constant" if total <= 16 * EPS**2 * n * float(mean @ mean) else ""
    scale = 1.0 if flag else math.sqrt(total)

    if narrow:
        columns /= scale

    def features() -> Iterator[np.ndarray]:
        return (centre(block, name)[0] / scale for block in blocks())

    return Kernel(
        n=n,
        d=d,
        scale=scale,
        a=a / scale**2,
        b=b / scale,
        mean_square=float(mean @ mean) / scale**2,
        mean_sum=float(mean.sum()) / scale,
        mean_spread=float(np.sum((mean - mean.mean()) ** 2)) / scale**2,
        eps=eps,
        flag=flag,
        columns=columns,
        given={} if narrow else {"matrix": matrix / scale**2},
        features=features,
        name=name,
    )
