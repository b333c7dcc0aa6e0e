"""The objective that trains nothing, and what all objectives share."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class DataShape:
    """What a network must know of a data set.

    Attributes:
        clip: (C, T, H, W) of a clip.
        classes: number of classes.
        multi_label: may a clip carry several labels?
    """

    clip: tuple[int, int, int, int]
    classes: int
    multi_label: bool


class Objective(nn.Module):
    """A model without a task: the base of all objectives, by itself the objective "none".

    Args:
        model: the network.
        shape: the data set it is made for.
    """

    stages: tuple[str, ...] = ()
    semi_supervised = False
    generates = False
    rows_per_clip = 1
    selection: tuple[str, str] = ("loss", "min")
    # the score that tells how far embeddings lie apart, where training may make them all alike
    spread: str | None = None

    def __init__(self, model: nn.Module, shape: DataShape) -> None:
        super().__init__()
        self.model = model
        self.shape = shape
        self.selected_apart: dict[str, tuple[str, ...]] = {}

    @staticmethod
    def model_clip_shape(clip_shape: tuple, **params) -> tuple:
        """The (C, T, H, W) that the model sees: the whole clip unless an objective hides frames."""
        return clip_shape

    @staticmethod
    def split_targets(**params) -> tuple[str, ...]:
        """Targets beside the labels that batches must carry; see ``vidrep.training.targets``."""
        return ()

    def model_inputs(self, batch: dict[str, Tensor]) -> list[Tensor]:
        """The tensors that the model is called with."""
        return [batch[name] for name in self.model.inputs]

    def embed(self, batch: dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """The model's embedding of a batch."""
        return self.model(*self.model_inputs(batch))

    def start_stage(self, stage: str) -> None:
        """Freeze and unfreeze parts for ``stage``."""

    def prepare(self, stage: str, batches: Iterable[dict[str, Tensor]]) -> None:
        """Fit what ``stage`` needs in closed form before its first epoch.

        The training clips come in their order. A resumed run does not call this again for the stage
        it is in: what is fitted here lives in buffers or parameters.
        """

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        raise NotImplementedError(f"objective {type(self).__name__} is not trained")

    def score(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Per-clip scores (B,), the model run once on the way; none without a task."""
        self.embed(batch)
        return {}

    def readers(self) -> dict[str, nn.Module]:
        """The modules that read classes, by stream; none without classes.

        What ``score`` gives them is the readout of a clip.
        """
        return {}

    def steps_read(self, read: Tensor) -> Tensor:
        """The steps that the answer rests on, of what a reader was given.

        Args:
            read: (B, D) or (B, S, D).

        Returns:
            (B, S, D), where some steps may be missing.
        """
        return read if read.ndim == 3 else read[:, None]

    def answer(self, read: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What the run says of clips, from their readouts alone.

        Args:
            read: by stream (B, S, D) float32, as ``steps_read`` gives them.

        Returns:
            (B, classes) float32 in [0, 1]: probability of each class, which sum to 1 where a clip
            has one label; (B, classes) bool: the predicted label set.
        """
        raise NotImplementedError(f"objective {type(self).__name__} answers with no classes")

    def finish(self, batches: Iterable[dict[str, Tensor]]) -> None:
        """Fit what the objective fits on validation data after training."""


def check_parts(objective: str, model: nn.Module, *names: str) -> None:
    """Raise ValueError unless a model has the attributes that an objective needs."""
    missing = [name for name in names if not hasattr(model, name)]
    if missing:
        raise ValueError(
            f"objective {objective}: model {type(model).__name__} has no {', '.join(missing)}"
        )


def check_choice(objective: str, key: str, value: str, known: Iterable[str]) -> None:
    """Raise ValueError unless an objective's parameter has one of its known values."""
    if value not in known:
        raise ValueError(
            f"objective {objective}: {key} is {value!r}; give one of {', '.join(known)}"
        )


def distribution(shares: Tensor) -> Tensor:
    """Non-negative shares (B, classes) of classes that exclude each other, scaled to sum to 1."""
    smallest = torch.finfo(shares.dtype).tiny
    total = shares.sum(-1, keepdim=True).clamp_min(smallest)
    return shares / total


def embedding_std(embeddings: Tensor) -> Tensor:
    """How far apart embeddings (..., D) lie: standard deviation of a feature, mean over features.

    0 if all embeddings are the same; a scalar.
    """
    rows = embeddings.float().flatten(0, -2)
    return rows.std(0, correction=0).mean()


def embedding_sizes(objective: Objective) -> dict[str, int]:
    """Width D of each stream's embedding, found by running one black clip.

    A model of one stream counts as a stream called "".
    """
    channels, frames, height, width = objective.shape.clip
    batch = {
        "clip": torch.zeros(1, channels, frames, height, width),
        "flow": torch.zeros(1, 2, frames - 1, height, width),
        "flow_backward": torch.zeros(1, 2, frames - 1, height, width),
    }
    training = objective.model.training
    objective.model.eval()
    with torch.no_grad():
        embedding = objective.embed(batch)
    objective.model.train(training)
    return {name: value.shape[-1] for name, value in streams(embedding).items()}


def streams(embedding: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    """A model's embeddings by stream; a single tensor becomes the stream ""."""
    return embedding if isinstance(embedding, dict) else {"": embedding}
