"""Forward hooks that keep what named layers output, and what classes are read from."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Captured = dict[str, Tensor]


@contextmanager
def capturing(model: nn.Module, layers: tuple[str, ...]) -> Iterator[Captured]:
    """Keep what layers output: every forward pass within the block fills the yielded dict.

    Its keys are layer names, its values outputs as float32, in the usual form if the model says how
    (``vidrep.models.layouts``). Of an output of several parts the first one counts, of a recurrent
    layer its sequence. Where a forward pass of the model calls a layer several times, each call is
    a step in time; of calls outside of a forward pass the last counts.

    Raises:
        ValueError: ``model`` has no submodule of that name; in a forward pass: a layer that is
            never called, or whose output has not one row a clip or more steps than there are
            frames.
    """
    modules = dict(model.named_modules())
    missing = [name for name in layers if name not in modules]
    if missing:
        raise ValueError(
            f"model {type(model).__name__} lists layers it does not have: {', '.join(missing)}"
        )
    recorder = _Recorder(model, layers)
    handles = [
        model.register_forward_pre_hook(recorder.start),
        model.register_forward_hook(recorder.finish),
    ]
    handles += [modules[name].register_forward_hook(recorder.hook(name)) for name in layers]
    try:
        yield recorder.captured
    finally:
        for handle in handles:
            handle.remove()


class _Recorder:
    """The hooks of ``capturing``.

    Attributes:
        captured: layer -> its output in the last forward pass.
        calls: layer -> its outputs so far, while the model computes; None between forward passes.
    """

    def __init__(self, model: nn.Module, layers: tuple[str, ...]) -> None:
        self.layers = layers
        self.layouts = getattr(model, "layouts", {})
        self.captured: Captured = {}
        self.calls: dict[str, list[Tensor]] | None = None

    def start(self, model, inputs) -> None:
        """Before the model computes."""
        self.captured.clear()
        self.calls = {name: [] for name in self.layers}

    def hook(self, name: str):
        """After a layer has computed."""

        def keep(module, inputs, output) -> None:
            output = _in_usual_form(name, output, self.layouts.get(name))
            # a copy: what comes next may work in place
            kept = output.detach().to(torch.float32, copy=True)
            if self.calls is None:
                self.captured[name] = kept
            else:
                self.calls[name].append(kept)

        return keep

    def finish(self, model, inputs, output) -> None:
        """After the model has computed."""
        calls = self.calls
        self.calls = None
        for name, outputs in calls.items():
            if not outputs:
                raise ValueError(
                    f"layer {name}: the forward pass never calls it; list a module that is called"
                    " (a ModuleList is not, nor one whose weights alone are used)"
                )
            one = outputs[0] if len(outputs) == 1 else _in_time(name, outputs)
            _check_shape(name, one, inputs)
            self.captured[name] = one


def _in_usual_form(name: str, output, layout) -> Tensor:
    """A layer's output, or the first of its parts, as its layout declares it."""
    if isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        output = output[0]
    if not isinstance(output, Tensor):
        raise ValueError(
            f"layer {name} outputs a {type(output).__name__}, not a tensor; list a module within it"
        )
    if layout is None:
        return output
    try:
        return layout(output)
    except ValueError as error:
        raise ValueError(f"layer {name}: {error}") from None


def _in_time(name: str, calls: list[Tensor]) -> Tensor:
    """What a layer yielded for one step after the other, as one output.

    (B, D) or (B, T, D) each -> (B, T, D); (B, C, H, W) or (B, C, T, H, W) each -> (B, C, T, H, W).
    """
    if len({call.shape for call in calls}) > 1:
        raise ValueError(
            f"layer {name} is called {len(calls)} times a clip with outputs of different shapes,"
            f" {tuple(calls[0].shape)} and others; list a module that is called once"
        )
    if calls[0].ndim in (2, 4):
        return torch.stack(calls, dim=calls[0].ndim // 2)
    return torch.cat(calls, dim=1 if calls[0].ndim == 3 else 2)


def _check_shape(name: str, output: Tensor, inputs: tuple) -> None:
    """One row a clip, and no more steps of a sequence than there are frames.

    ``inputs`` are those that the model is given by position.
    """
    if not inputs:
        return
    clips = len(inputs[0])
    shape = tuple(output.shape)
    if output.ndim not in (2, 3, 5) or len(output) != clips:
        raise ValueError(
            f"layer {name} outputs {shape} for {clips} clips; a layer yields (B, C, T, H, W),"
            " (B, T, D) or (B, D), B the number of clips, or the model declares what it yields in"
            f" layouts (docs/extending.md), such as {{{name!r}: FoldedFrames(steps)}} for frames in"
            " the batch"
        )
    frames = max((part.shape[2] for part in inputs if part.ndim == 5), default=None)
    if output.ndim == 3 and frames is not None and shape[1] > frames:
        raise ValueError(
            f"layer {name} outputs {shape}, more steps than the {frames} frames of a clip: tokens?"
            " then the model declares their grid in layouts (docs/extending.md), such as"
            f" {{{name!r}: Tokens((t, h, w))}}"
        )


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
