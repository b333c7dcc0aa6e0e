"""Permutations that keep a design: which rows may change places if a factor means nothing."""

from collections.abc import Hashable, Sequence

import numpy as np

_ENTRIES = 2**20  # of permuted matrices held at a time


def exchanged(
    count: int,
    blocks: Sequence[np.ndarray],
    kinds: Sequence[Hashable],
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Orders (draws, count) of rows in which blocks of equal kind, and so of equal length, change
    places as wholes.
    """
    orders = np.tile(np.arange(count), (draws, 1))
    for kind in dict.fromkeys(kinds):
        alike = np.array(
            [block for block, other in zip(blocks, kinds, strict=True) if other == kind]
        )
        drawn = rng.permuted(np.tile(np.arange(len(alike)), (draws, 1)), axis=1)
        orders[:, alike.ravel()] = alike[drawn].reshape(draws, -1)
    return orders


def shuffled(
    count: int, blocks: Sequence[np.ndarray], draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Orders (draws, count) of rows in which the rows of each block change places."""
    orders = np.tile(np.arange(count), (draws, 1))
    for block in blocks:
        orders[:, block] = rng.permuted(np.tile(block, (draws, 1)), axis=1)
    return orders


def permuted_sums(weights: np.ndarray, values: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """Sums (P,) of ``weights`` (R, R) times ``values`` (R, R) whose rows and columns are taken in
    each of the orders (P, R).
    """
    step = max(1, _ENTRIES // weights.size)
    parts = [orders[i : i + step] for i in range(0, len(orders), step)]
    return np.concatenate(
        [
            np.einsum("ij,pij->p", weights, values[part[:, :, None], part[:, None, :]])
            for part in parts
        ]
    )
