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
WARM_UP = 0.2  # share of training in which the rate of schedule "one_cycle" rises
EPSILON = 1e-8  # of the adaptive optimisers' denominators

# name in a recipe -> name in torch.optim, and its options
TORCH_OPTIMISERS = {
    "adam": ("Adam", {"eps": EPSILON}),
    "adamw": ("AdamW", {"eps": EPSILON}),
    "sgd": ("SGD", {"momentum": 0.9}),
    "rmsprop": ("RMSprop", {"eps": EPSILON}),
}
# Muon on convolutions, AdamW on the rest
OPTIMISERS = (*TORCH_OPTIMISERS, "muon")


class Together:
    """Several optimisers, or the schedules of several, that take their steps together.

    Args:
        parts: the optimisers or schedules.
    """

    def __init__(self, parts: list) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict]:
        """The groups of all optimisers, in their order."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self) -> None:
        """One step of each."""
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all optimisers' parameters."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict:
        """The states of all."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state: dict) -> None:
        """Bring all back to a state."""
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


def make_optimiser(objective: nn.Module, recipe: dict, lr: float) -> Optimizer | Together:
    """The optimiser a recipe names, over the parameters that are to be trained.

    Optimiser "muon" has the rate ``muon_lr`` of the recipe for convolutions and ``lr`` for the
    rest; see ``vidrep.training.muon``. Where a stage trains only one of the two, the other
    optimiser is left out.
    """
    name = recipe["optimiser"]
    if name not in OPTIMISERS:
        raise ValueError(f"recipe: optimiser {name!r}; give one of {', '.join(OPTIMISERS)}")
    decay = recipe["weight_decay"]
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    if name != "muon":
        return _torch_optimiser(name, trained, lr, decay)
    from vidrep.training.muon import Muon, split_parameters

    matrices, rest = split_parameters(objective)
    parts = []
    if matrices:
        parts.append(Muon(matrices, lr=recipe["muon_lr"], weight_decay=decay))
    if rest:
        parts.append(_torch_optimiser("adamw", rest, lr, decay))
    return Together(parts)


def _torch_optimiser(name: str, parameters: list, lr: float, weight_decay: float) -> Optimizer:
    from torch import optim

    from vidrep.training.eager import eager

    class_name, options = TORCH_OPTIMISERS[name]
    optimiser_class = eager(getattr(optim, class_name))
    return optimiser_class(parameters, lr=lr, weight_decay=weight_decay, **options)


def _one_cycle(optimiser: Optimizer, steps: int) -> LRScheduler:
    """From 1/25 of the rate up to it and down to nothing; the momentum of torch's goes down and up.

    The rise takes a fifth of training, but at least one step: torch divides by its length.
    """
    from torch.optim.lr_scheduler import OneCycleLR

    total = steps + 1
    group = optimiser.param_groups[0]
    return OneCycleLR(
        optimiser,
        max_lr=group["lr"],
        total_steps=total,
        pct_start=max(WARM_UP, 2 / total),
        # not of optimisers without momentum, and of Muon it stays what it is
        cycle_momentum="betas" in group or ("momentum" in group and group["momentum"] != 0),
    )


def _constant(optimiser: Optimizer, steps: int) -> LRScheduler:
    from torch.optim.lr_scheduler import ConstantLR

    return ConstantLR(optimiser, factor=1.0)


def _steps(optimiser: Optimizer, steps: int) -> LRScheduler:
    from torch.optim.lr_scheduler import MultiStepLR

    milestones = [round(share * steps) for share in STEPS_AT]
    return MultiStepLR(optimiser, milestones, gamma=0.1)


SCHEDULES = {"constant": _constant, "one_cycle": _one_cycle, "steps": _steps}


def make_schedule(optimiser: Optimizer | Together, recipe: dict, steps: int):
    """The learning-rate schedule a recipe names, advanced once a step; ``steps`` of them in all."""
    name = recipe["schedule"]
    if name not in SCHEDULES:
        raise ValueError(f"recipe: schedule {name!r}; give one of {', '.join(SCHEDULES)}")
    make = SCHEDULES[name]
    if isinstance(optimiser, Together):
        return Together([make(part, steps) for part in optimiser.parts])
    return make(optimiser, steps)
