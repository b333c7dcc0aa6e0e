"""Torch's optimisers without the guards that import its compiler.

Each method of an optimiser is wrapped for ``torch.compile``, and the first call of any imports
``torch._dynamo``: over a second in every training job, where nothing is compiled.
"""

import inspect
from functools import cache

import torch
from torch.optim import Optimizer

GUARDED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


@cache
def eager(optimiser_class: type[Optimizer]) -> type[Optimizer]:
    """A subclass of an optimiser of torch that does the same without importing the compiler."""
    methods = {name: inspect.unwrap(getattr(optimiser_class, name)) for name in GUARDED}
    methods["step"] = torch.no_grad()(inspect.unwrap(optimiser_class.step))
    return type(optimiser_class.__name__, (optimiser_class,), methods)
