"""The choice of weights on validation data, and what a training gives besides them."""

import math
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass
class Selection:
    """The best weights so far by a validation score; ties go to the lower validation loss."""

    metric: str
    direction: str
    epoch: int = -1
    value: float = math.nan
    key: tuple = (-math.inf, -math.inf)
    state: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, epoch: int, scores: dict[str, float], objective: nn.Module) -> None:
        """Keep the objective's weights if ``scores`` beat the best."""
        value = scores[self.metric]
        merit = value if self.direction == "max" else -value
        key = (merit, -scores["loss"])
        if self.epoch < 0 or math.isnan(self.value) or key > self.key:
            self.epoch = epoch
            self.value = value
            self.key = key
            self.state = {
                name: tensor.detach().cpu().clone()
                for name, tensor in objective.state_dict().items()
            }


@dataclass
class Outcome:
    """What training gave besides the weights.

    Attributes:
        history: rows (epoch, split, metric, value), epochs counted from 1 through all stages.
        selection: the choice of weights in the last stage.
        train_clips_per_s: speed of the training steps alone (since the last resume), NaN without
            any.
        converged: had the last stage stopped getting better, see ``vidrep.training.convergence``;
            None where that is not known.
        clips_at_a_time: clips that gradients were computed of at a time, where memory did not hold
            the batch; else None.
    """

    history: list[tuple]
    selection: Selection
    train_clips_per_s: float = math.nan
    converged: bool | None = None
    clips_at_a_time: int | None = None
