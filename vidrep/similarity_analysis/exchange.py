"""Permutations that keep a design: which rows may change places if a factor means nothing."""

from collections.abc import Hashable, Sequence

import numpy as np

ENTRIES = 2**20  # of permuted matrices held at a time


def exchanged(
    count: int,
    blocks: Sequence[np.ndarray],
    kinds: Sequence[Hashable],
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Orders (draws, count) of rows in which blocks of equal kind change places as wholes.

    Blocks of equal kind are equally long.
    """
    by_kind: dict[Hashable, list[np.ndarray]] = {}
    for block, kind in zip(blocks, kinds, strict=True):
        by_kind.setdefault(kind, []).append(block)
    orders = np.tile(np.arange(count), (draws, 1))
    for alike in map(np.array, by_kind.values()):
        places = np.tile(np.arange(len(alike)), (draws, 1))
        drawn = rng.permuted(places, axis=1)
        exchanged_rows = alike[drawn]  # (draws, blocks, rows of a block)
        orders[:, alike.ravel()] = exchanged_rows.reshape(draws, -1)
    return orders


def shuffled(
    count: int,
    blocks: Sequence[np.ndarray],
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Orders (draws, count) of rows in which the rows of each block change places."""
    orders = np.tile(np.arange(count), (draws, 1))
    for block in blocks:
        rows = np.tile(block, (draws, 1))
        orders[:, block] = rng.permuted(rows, axis=1)
    return orders


def permuted_sums(weights: np.ndarray, values: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Sums (P,) of ``weights`` (R, R) times ``values`` (R, R) in each of the orders (P, R).

    An order holds for the rows and the columns of ``values``.
    """
    step = max(1, ENTRIES // weights.size)
    sums = []
    for start in range(0, len(orders), step):
        part = orders[start : start + step]
        rows = part[:, :, None]
        columns = part[:, None, :]
        permuted = values[rows, columns]  # (part, R, R)
        sums.append(np.einsum("ij,pij->p", weights, permuted))
    return np.concatenate(sums)
