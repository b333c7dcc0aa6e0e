"""The optimisers and learning-rate schedules that a recipe may name."""

from functools import partial

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, MultiStepLR, OneCycleLR

# shares of training after which schedule "steps" divides the rate by ten (arXiv 1406.2199)
STEPS_AT = (5 / 8, 7 / 8)
EPSILON = 1e-8  # of the adaptive optimisers' denominators

OPTIMISERS = {
    "adam": partial(Adam, eps=EPSILON),
    "adamw": partial(AdamW, eps=EPSILON),
    "sgd": partial(SGD, momentum=0.9),
    "rmsprop": partial(RMSprop, eps=EPSILON),
}


def make_optimiser(objective: nn.Module, recipe: dict, lr: float) -> Optimizer:
    """The optimiser a recipe names, over the parameters that are to be trained."""
    name = recipe["optimiser"]
    if name not in OPTIMISERS:
        raise ValueError(f"recipe: optimiser {name!r}; give one of {', '.join(OPTIMISERS)}")
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    return OPTIMISERS[name](trained, lr=lr, weight_decay=recipe["weight_decay"])


def _one_cycle(optimiser: Optimizer, steps: int) -> LRScheduler:
    group = optimiser.param_groups[0]
    return OneCycleLR(
        optimiser,
        max_lr=group["lr"],
        total_steps=steps + 1,
        pct_start=0.2,
        # an optimiser without momentum is not to be given one
        cycle_momentum=group.get("momentum") != 0,
    )


def _constant(optimiser: Optimizer, steps: int) -> LRScheduler:
    return ConstantLR(optimiser, factor=1.0)


def _steps(optimiser: Optimizer, steps: int) -> LRScheduler:
    milestones = [round(share * steps) for share in STEPS_AT]
    return MultiStepLR(optimiser, milestones, gamma=0.1)


SCHEDULES = {"constant": _constant, "one_cycle": _one_cycle, "steps": _steps}


def make_schedule(optimiser: Optimizer, recipe: dict, steps: int) -> LRScheduler:
    """The learning-rate schedule a recipe names, advanced once a step; ``steps`` of them in all."""
    name = recipe["schedule"]
    if name not in SCHEDULES:
        raise ValueError(f"recipe: schedule {name!r}; give one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name](optimiser, steps)
