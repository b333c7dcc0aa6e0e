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
    """Run -> function from readouts by stream, (n, S, D), to predicted label sets, (n, classes)
    bool.

    Args:
        folders: the runs' folders.
        wanted: ``<dataset>/<system>/seed<k>`` of the runs to load; the others are left alone.
    """
    where = device.choose(0, "float32", 1)
    named = {"/".join(folder.parts[-3:]): folder for folder in folders}
    return {
        name: _head(load_run(folder, where)[0]) for name, folder in named.items() if name in wanted
    }


def _head(objective) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    @torch.no_grad()
    def answer(read: dict[str, np.ndarray]) -> np.ndarray:
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
            for name, values in read.items()
        }
        return objective.answer(tensors)[1].numpy()

    return answer
