"""Permutations that keep a design: which rows may change places if a factor means nothing."""

from collections.abc import Hashable, Sequence

import numpy as np


def exchanged(count: int, blocks: Sequence[np.ndarray], kinds: Sequence[Hashable], rng: np.random.Generator) -> np.ndarray:
    """An order of ``count`` rows in which blocks of equal kind, and so of equal length, change places as wholes."""
    order = np.arange(count)
    for kind in dict.fromkeys(kinds):
        alike = [block for block, other in zip(blocks, kinds, strict=True) if other == kind]
        order[np.concatenate(alike)] = np.concatenate([alike[i] for i in rng.permutation(len(alike))])
    return order


def shuffled(count: int, blocks: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """An order of ``count`` rows in which the rows of each block change places."""
    order = np.arange(count)
    for block in blocks:
        order[block] = rng.permutation(block)
    return order
