"""The optimisers and learning-rate schedules that a recipe may name.

The configuration reads their names whenever the Snakefile is parsed, so torch is imported only
when one is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

# shares of training after which schedule "steps" divides the rate by ten (arXiv 1406.2199)
STEPS_AT = (5 / 8, 7 / 8)
EPSILON = 1e-8  # of the adaptive optimisers' denominators

# name in a recipe -> name in torch.optim, and its options
OPTIMISERS = {
    "adam": ("Adam", {"eps": EPSILON}),
    "adamw": ("AdamW", {"eps": EPSILON}),
    "sgd": ("SGD", {"momentum": 0.9}),
    "rmsprop": ("RMSprop", {"eps": EPSILON}),
}


def make_optimiser(objective: nn.Module, recipe: dict, lr: float) -> Optimizer:
    """The optimiser a recipe names, over the parameters that are to be trained."""
    name = recipe["optimiser"]
    if name not in OPTIMISERS:
        raise ValueError(f"recipe: optimiser {name!r}; give one of {', '.join(OPTIMISERS)}")
    from torch import optim

    class_name, options = OPTIMISERS[name]
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    optimiser_class = getattr(optim, class_name)
    return optimiser_class(trained, lr=lr, weight_decay=recipe["weight_decay"], **options)


def _one_cycle(optimiser: Optimizer, steps: int) -> LRScheduler:
    from torch.optim.lr_scheduler import OneCycleLR

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
    from torch.optim.lr_scheduler import ConstantLR

    return ConstantLR(optimiser, factor=1.0)


def _steps(optimiser: Optimizer, steps: int) -> LRScheduler:
    from torch.optim.lr_scheduler import MultiStepLR

    milestones = [round(share * steps) for share in STEPS_AT]
    return MultiStepLR(optimiser, milestones, gamma=0.1)


SCHEDULES = {"constant": _constant, "one_cycle": _one_cycle, "steps": _steps}


def make_schedule(optimiser: Optimizer, recipe: dict, steps: int) -> LRScheduler:
    """The learning-rate schedule a recipe names, advanced once a step; ``steps`` of them in all."""
    name = recipe["schedule"]
    if name not in SCHEDULES:
        raise ValueError(f"recipe: schedule {name!r}; give one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name](optimiser, steps)
