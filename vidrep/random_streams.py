"""Named random streams: every random choice is drawn from (experiment seed, purpose, index).

Two names never share a stream, and a new purpose never shifts the draws of an old one.
"""

import hashlib
import json

import numpy as np


def stream_seed(seed: int, *name: str | int) -> int:
    """A 63-bit seed for the stream called ``name`` of experiment ``seed``.

    Args:
        seed: experiment seed.
        name: the purpose, then any indices: ``("train", "trajectory")``, ``("shuffle", epoch)``.

    Returns:
        Integer in [0, 2**63), stable across machines and Python versions.
    """
    text = json.dumps([seed, *name])
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, *name: str | int) -> np.random.Generator:
    """A NumPy generator for the stream called ``name`` of experiment ``seed``."""
    return np.random.default_rng(stream_seed(seed, *name))
