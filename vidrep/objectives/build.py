"""Put a system together: its model inside its objective."""

from torch import nn

from vidrep import models
from vidrep.naming import check_arguments, resolve
from vidrep.objectives import OBJECTIVES
from vidrep.objectives.base import DataShape


def needed_targets(definition: dict) -> tuple[str, ...]:
    """Targets beside the labels that a system is trained on; see ``vidrep.training.targets``."""
    objective = resolve(definition["objective"], OBJECTIVES, "objective")
    return objective.split_targets(**definition["objective_params"])


def build(definition: dict, shape: DataShape) -> nn.Module:
    """The objective of a system with its model inside, freshly initialised.

    Weights come from torch's global generator.

    Args:
        definition: a system's definition: model, params, objective, objective_params
            (``vidrep.systems.System.definition``).
        shape: the data set it is made for.

    Raises:
        ValueError: unknown names, wrong parameters, or sizes that do not fit.
    """
    objective = resolve(definition["objective"], OBJECTIVES, "objective")
    params = definition["objective_params"]
    check_arguments(objective, params, f"objective {definition['objective']!r}", given=2)
    model = models.create(
        definition["model"],
        clip_shape=objective.model_clip_shape(shape.clip, **params),
        **definition["params"],
    )
    stated = definition.get("inputs", model.inputs)
    if set(model.inputs) != set(stated):
        raise ValueError(
            f"system {definition['name']}: its model is fed {', '.join(model.inputs)}; "
            f"set its inputs to that, not {', '.join(stated)}"
        )
    return objective(model, shape, **params)
