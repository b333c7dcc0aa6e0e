"""Forward hooks that keep what named layers output, and what classes are read from."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def capturing(model: nn.Module, layers: tuple[str, ...]) -> Iterator[dict[str, Tensor]]:
    """Keep what layers output: every forward pass within the block fills the yielded dict.

    Its keys are layer names, its values outputs, batch first, as float32.

    Raises:
        ValueError: ``model`` has no submodule of that name.
    """
    captured: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(module, inputs, output: Tensor) -> None:
            captured[name] = output.detach().float()

        return hook

    modules = dict(model.named_modules())
    missing = [name for name in layers if name not in modules]
    if missing:
        raise ValueError(
            f"model {type(model).__name__} lists layers it does not have: {', '.join(missing)}"
        )
    handles = [modules[name].register_forward_hook(keep(name)) for name in layers]
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def reading(objective) -> Iterator[dict[str, Tensor]]:
    """Keep what class heads are given: every forward pass within the block fills the yielded dict.

    Its keys are streams, its values (B, S, D) float32, the steps on which the answer rests. It
    stays empty for objectives that answer with no classes.
    """
    read: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(module, inputs) -> None:
            read[name] = objective.steps_read(inputs[0].detach().float())

        return hook

    readers = objective.readers()
    handles = [module.register_forward_pre_hook(keep(name)) for name, module in readers.items()]
    try:
        yield read
    finally:
        for handle in handles:
            handle.remove()
