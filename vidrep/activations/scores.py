"""The scores of every clip, and the probabilities of classes where a run answers with some."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidrep.activations.capture import reading
from vidrep.clip_scores import Scores
from vidrep.readouts import PROBABILITIES
from vidrep.training.device import Device
from vidrep.training.split import Split
from vidrep.windows import mean_of_videos

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
        """Score a batch; its answer, if the run gives one: see ``Objective.answer``.

        Where the clips of the batch are windows of videos, scores and answers are those of videos.
        """
        videos = batch["video"].cpu().numpy() if "video" in batch else None
        for name, values in self.objective.score(batch).items():
            self._keep(name, means(values, videos))
        if not self.read:
            return None
        probabilities, predicted = together(self.objective.answer(self.read), videos)
        self._keep(PROBABILITIES, probabilities)
        return probabilities, predicted

    def _keep(self, name: str, values: Tensor) -> None:
        self.parts.setdefault(name, []).append(values.float().cpu().numpy())

    def scores(self) -> Scores:
        """What was collected, clips in the order they came."""
        return {name: np.concatenate(parts) for name, parts in self.parts.items()}


def means(values: Tensor, videos: np.ndarray | None) -> Tensor:
    """Means (videos, ...) of a tensor (n, ...) over the clips of each video."""
    if videos is None:
        return values
    return torch.from_numpy(mean_of_videos(values.cpu().numpy(), videos))


def together(answer: tuple[Tensor, Tensor], videos: np.ndarray | None) -> tuple[Tensor, Tensor]:
    """What a run says of videos: the mean of its probabilities, and the class with the highest.

    Args:
        answer: probabilities and label sets of clips, see ``Objective.answer``; exclusive classes
            where several clips are of one video.
        videos: numbers of their videos, or None.
    """
    if videos is None:
        return answer
    scores = means(answer[0], videos)
    return scores, F.one_hot(scores.argmax(1), scores.shape[1]).bool()


@torch.no_grad()
def scores_of_clips(objective, split: Split, device: Device) -> Scores:
    """Score a run on every clip of a split, or every video, in float32."""
    objective.eval()
    with reading(objective) as read:
        collector = ScoreCollector(objective, read)
        for batch in split.batches(BATCH, device):
            collector.add(batch)
    return collector.scores()
