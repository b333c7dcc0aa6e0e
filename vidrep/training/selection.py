"""The choice of weights on validation data, and what a training gives besides them."""

import math
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass
class Selection:
    """The best weights so far by a validation score; ties go to the lower validation loss.

    Attributes:
        metric, direction: the score, and whether "max" or "min" is best.
        prefixes: only weights whose names begin so are kept; () for all.
        apart: choices of their own for parts of the network, such as the streams of a two-stream
            network, which are trained side by side but have nothing to do with each other.
        epoch, value, key, state: of the best.
    """

    metric: str
    direction: str
    prefixes: tuple[str, ...] = ()
    apart: list["Selection"] = field(default_factory=list)
    epoch: int = -1
    value: float = math.nan
    key: tuple = (-math.inf, -math.inf)
    state: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, objective: nn.Module) -> "Selection":
        """What an objective asks for, with nothing offered yet."""
        metric, direction = objective.selection
        apart = [
            cls(name, direction, prefixes) for name, prefixes in objective.selected_apart.items()
        ]
        return cls(metric, direction, apart=apart)

    def offer(self, epoch: int, scores: dict[str, float], objective: nn.Module) -> None:
        """Keep the objective's weights if ``scores`` beat the best, and so of each part."""
        for part in self.apart:
            part.offer(epoch, scores, objective)
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
                if name.startswith(self.prefixes or "")
            }

    def weights(self) -> dict[str, Tensor]:
        """The chosen weights, each part's in their places."""
        chosen = dict(self.state)
        for part in self.apart:
            chosen |= part.state
        return chosen

    def restore(self, saved: dict) -> None:
        """Go on from ``dataclasses.asdict`` of an earlier one."""
        for part, saved_part in zip(self.apart, saved["apart"], strict=True):
            part.restore(saved_part)
        self.epoch = saved["epoch"]
        self.value = saved["value"]
        self.key = saved["key"]
        self.state = saved["state"]

    def record(self) -> dict:
        """What ``run.json`` tells."""
        told = {
            "metric": self.metric,
            "direction": self.direction,
            "epoch": self.epoch,
            "value": self.value,
        }
        if self.apart:
            told["apart"] = [part.record() for part in self.apart]
        return told


@dataclass
class Outcome:
    """What training gave besides the weights.

    Attributes:
        history: rows (epoch, split, metric, value), epochs counted from 1 through all stages.
        selection: the choice of weights in the last stage.
        train_s: seconds of the training steps alone, since the last resume.
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
    train_s: float = 0.0
    converged: bool | None = None
    clips_at_a_time: int | None = None
