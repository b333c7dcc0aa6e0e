"""Objectives: what a model is trained for. Each owns the model, its heads or decoders, and the loss.

An objective is a torch module with

* ``model``: the network whose layers are opened up later;
* ``stages``: names of its training stages, in order; ``start_stage(name)`` freezes and unfreezes what the stage wants;
* ``model_clip_shape(clip_shape, **params)`` (static): the part of a clip that the model sees, as (C, T, H, W);
* ``model_inputs(batch)``: the tensors that the model is called with;
* ``loss(batch)``: a scalar to minimise;
* ``score(batch)``: a dict of per-clip values (B,), among them ``loss``;
* ``selection``: the score that chooses the weights on validation data, and whether "max" or "min" is best;
* ``finish(batches)``: anything fitted on validation data once training is over.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidrep.naming import check_arguments, resolve

if TYPE_CHECKING:
    from torch import nn

OBJECTIVES = {
    "classification": "vidrep.objectives.classification:Classification",
    "frames_then_sequence": "vidrep.objectives.frames_then_sequence:FramesThenSequence",
    "lstm_composite": "vidrep.objectives.lstm_composite:LSTMComposite",
    "none": "vidrep.objectives.base:Objective",
}


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


def names() -> list[str]:
    """Names of the objectives."""
    return sorted(OBJECTIVES)


def build(definition: dict, shape: DataShape) -> "nn.Module":
    """The objective of a system with its model inside, freshly initialised from torch's global generator.

    Args:
        definition: a system's definition: model, params, objective, objective_params (``vidrep.experiment.System.definition``).
        shape: the data set it is made for.

    Raises:
        ValueError: unknown names, wrong parameters, or sizes that do not fit.
    """
    from vidrep import models

    objective = resolve(definition["objective"], OBJECTIVES, "objective")
    params = definition["objective_params"]
    check_arguments(objective, params, f"objective {definition['objective']!r}", given=2)
    model = models.create(definition["model"], clip_shape=objective.model_clip_shape(shape.clip, **params), **definition["params"])
    return objective(model, shape, **params)
