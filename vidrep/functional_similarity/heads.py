"""The heads of finished runs, as functions of what they read."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from pathlib import Path

import numpy as np
import torch

from vidrep.training import device
from vidrep.training.run import load_run


def load_heads(
    folders: Iterable[Path], wanted: Container[str]
) -> dict[str, Callable[[dict[str, np.ndarray]], np.ndarray]]:
    """The heads of runs as functions, by run.

    A head takes readouts by stream, (n, S, D), to predicted label sets, (n, classes) bool.

    Args:
        folders: the runs' folders.
        wanted: ``<dataset>/<system>/seed<k>`` of the runs to load; the others are left alone.
    """
    where = device.choose(0, "float32", 1)
    heads = {}
    for folder in folders:
        name = "/".join(folder.parts[-3:])
        if name in wanted:
            objective, _ = load_run(folder, where)
            heads[name] = _head(objective)
    return heads


def _head(objective) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    @torch.no_grad()
    def answer(read: dict[str, np.ndarray]) -> np.ndarray:
        tensors = {}
        for name, values in read.items():
            single = np.ascontiguousarray(values, dtype=np.float32)
            tensors[name] = torch.from_numpy(single)
        _, sets = objective.answer(tensors)
        return sets.numpy()

    return answer
