"""All pairs under measures that are inner products of one unit-norm n x n array a representation.

Linear and RBF CKA, RSA and the mutual neighbour overlap all have the form <A, B>; they differ in
how the array is made. Sums over rows run in float64 whatever the precision of the arrays.
"""

from __future__ import annotations

import math

import numpy as np

from vidrep.similarity.machine import current, spread
from vidrep.similarity.measure import Cells, Rows, cells, clips_of

RUN = 8192  # terms of a sum in single precision; longer ones would lose digits
BLOCK = 2**17  # entries of an array that one core multiplies


def stack(rows: Rows) -> np.ndarray:
    """(R, n, n) arrays of all representations; zero where there is none."""
    return np.array(_slabs(rows, 0, clips_of(rows)))


def _slabs(rows: Rows, start: int, stop: int) -> list[np.ndarray]:
    """Rows start..stop of every array; zero where there is none."""
    known = [item.data for item in rows if not item.flag]
    some = known[0] if known else np.zeros((1, 1))
    nothing = np.zeros((stop - start, len(some)), dtype=some.dtype)
    return [nothing if item.flag else item.data[start:stop] for item in rows]


def _empty(rows: Rows, columns: Rows) -> bool:
    return not all(any(not item.flag for item in side) for side in (rows, columns))


def _product(rows: Rows, columns: Rows, start: int, stop: int) -> np.ndarray:
    """(A, B) inner products of rows start..stop of all arrays."""
    left = np.array(_slabs(rows, start, stop)).reshape(len(rows), -1)
    if columns is rows:
        return current().product(left, left)
    right = np.array(_slabs(columns, start, stop)).reshape(len(columns), -1)
    return current().product(left, right)


def row_products(rows: Rows, columns: Rows):
    """Yield the (A, B) inner products of row i of all arrays, for i = 0, 1, ..."""
    if _empty(rows, columns):
        return
    for i in range(clips_of(rows, columns)):
        yield _product(rows, columns, i, i + 1)


def inner_products(rows: Rows, columns: Rows) -> np.ndarray:
    """(A, B) float64 inner products of all arrays."""
    n = clips_of(rows, columns)
    step = max(1, RUN // n)
    block = max(1, BLOCK // n)
    shape = (len(rows), len(columns))

    def part(first: int) -> np.ndarray:
        end = min(first + block, n)
        total = np.zeros(shape)
        for start in range(first, end, step):
            total = total + _product(rows, columns, start, min(start + step, end))
        return total

    if _empty(rows, columns):
        return np.zeros(shape)
    return sum(spread(part, range(0, n, block)), np.zeros(shape))


def cross(rows: Rows, columns: Rows, options: dict) -> Cells:
    """All values of a bilinear measure."""
    return cells(inner_products(rows, columns), rows, columns)


def no_chance(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """Zero: arrays of zero diagonal whose other entries sum to zero are orthogonal on average."""
    return np.zeros((len(rows), len(columns)))


def trace_chance(rows: Rows, columns: Rows, options: dict) -> np.ndarray:
    """tr A tr B / (n - 1), for arrays whose rows sum to zero.

    It is the mean of <A, PBP^T> over all permutations.
    """
    n = clips_of(rows, columns, default=2)
    return np.outer(_traces(rows), _traces(columns)) / (n - 1)


def _traces(side: Rows) -> np.ndarray:
    """(R,) traces of all arrays, NaN where there is none."""
    return np.array([np.nan if item.flag else np.trace(item.data) for item in side])


def orderings(n: int, permutations: int, rng: np.random.Generator) -> np.ndarray:
    """Random orderings of n clips, with at least ``permutations`` cyclic shifts in all.

    The n - 1 cyclic shifts of each ordering are re-pairings of the clips.
    """
    count = math.ceil(permutations / (n - 1))
    orders = [rng.permutation(n) for _ in range(count)]
    return np.array(orders, dtype=np.intp).reshape(-1, n)


def shift_null(rows: Rows, columns: Rows, orders: np.ndarray, symmetric: bool = True) -> np.ndarray:
    """(A, B) counts of cyclic re-pairings whose value is not below the observed one.

    The clips of one side move s places along a random ordering, s = 1..n-1. These shifts form a
    group with the identity, so comparing the observed value with them is an exact permutation test
    (Hemerik and Goeman 2018, TEST 27:811). Along the ordering, <A, shifted B> for every s at once
    is a sum of circular correlations, one for each diagonal of the arrays: a Fourier transform of
    all diagonals replaces one product per permutation. Symmetric arrays need half of their
    diagonals.
    """
    from scipy import fft

    left = stack(rows).astype(np.float32)
    right = left if columns is rows else stack(columns).astype(np.float32)
    n = left.shape[1]
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for order in orders:
        spectra = _diagonal_spectra(left, order, symmetric)
        others = spectra if right is left else _diagonal_spectra(right, order, symmetric)
        correlation = np.matmul(spectra.conj(), others.transpose(0, 2, 1))  # (frequencies, A, B)
        values = fft.irfft(correlation, n, axis=0)
        # rounding must not break ties in favour of the data
        tolerance = 1e-5 * np.maximum(np.abs(values[0]), 1e-3)
        counts += (values[1:] >= values[0] - tolerance).sum(axis=0)
    return counts


def _diagonal_spectra(arrays: np.ndarray, order: np.ndarray, symmetric: bool) -> np.ndarray:
    """(frequencies, R, diagonals) transforms of the cyclic diagonals of (R, n, n) arrays.

    The clips are taken in ``order``.
    """
    from scipy import fft

    n = len(order)
    steps = np.arange(n)
    if symmetric:
        diagonals = np.arange(n // 2 + 1)
        alone = (diagonals == 0) | (2 * diagonals == n)  # others stand twice in the array
        weights = np.where(alone, 1, 2)
    else:
        diagonals = np.arange(n)
        weights = np.ones(n)
    partner = order[(steps[:, None] + steps) % n][diagonals]
    entries = order * n + partner  # (diagonal, place)
    spectra = np.empty((n // 2 + 1, len(arrays), len(diagonals)), dtype=np.complex64)
    for r, array in enumerate(arrays.reshape(len(arrays), -1)):
        spectra[:, r] = fft.rfft(array[entries], axis=1).T
    spectra *= np.sqrt(weights).astype(np.float32)
    return spectra
