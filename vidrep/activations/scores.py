"""The scores of every clip, and the probabilities of classes where a run answers with some."""

import numpy as np
import torch
from torch import Tensor

from vidrep.activations.capture import reading
from vidrep.clip_scores import Scores
from vidrep.readouts import PROBABILITIES
from vidrep.training.device import Device
from vidrep.training.split import Split

BATCH = 50


class ScoreCollector:
    """Scores a run batch by batch.

    Args:
        objective: the run, in evaluation mode.
        read: what its class heads are given, as ``vidrep.activations.capture.reading`` yields it.
    """

    def __init__(self, objective, read: dict[str, Tensor]) -> None:
        self.objective = objective
        self.read = read
        self.parts: dict[str, list[np.ndarray]] = {}

    def add(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """Score a batch; its answer, if the run gives one: see ``Objective.answer``."""
        for name, values in self.objective.score(batch).items():
            self._keep(name, values)
        if not self.read:
            return None
        probabilities, predicted = self.objective.answer(self.read)
        self._keep(PROBABILITIES, probabilities)
        return probabilities, predicted

    def _keep(self, name: str, values: Tensor) -> None:
        self.parts.setdefault(name, []).append(values.float().cpu().numpy())

    def scores(self) -> Scores:
        """What was collected, clips in the order they came."""
        return {name: np.concatenate(parts) for name, parts in self.parts.items()}


@torch.no_grad()
def scores_of_clips(objective, split: Split, device: Device) -> Scores:
    """Score a run on every clip of a split, in float32."""
    objective.eval()
    with reading(objective) as read:
        collector = ScoreCollector(objective, read)
        for batch in split.batches(BATCH, device):
            collector.add(batch)
    return collector.scores()
