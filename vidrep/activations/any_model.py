"""Activations of anybody's network on clips of the pipeline, without a configuration.

The network need not keep the contract of our models: it is any module that takes clips
(B, C, T, H, W) in [0, 1], built with or without their shape, and the layers are named from outside.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import zarr
from torch import nn

from vidrep import models
from vidrep.activations.extract import store_activations
from vidrep.activations.pooling import Policy
from vidrep.activations.store import new_store
from vidrep.datasets.store import open_clips
from vidrep.files import whole
from vidrep.naming import nearest, resolve_own
from vidrep.objectives.base import Objective
from vidrep.splits import SplitFiles
from vidrep.training.device import Device
from vidrep.training.pretrained import start_from
from vidrep.training.split import load_split


def extract_model(
    name: str,
    files: SplitFiles,
    output: str | os.PathLike,
    *,
    layers: Sequence[str],
    params: dict,
    weights: Path | None,
    rows: int | None,
    policy: Policy,
    dtype: str,
    device: Device,
) -> None:
    """Write a store of what a network computes on clips: a Zarr folder, or a zip of one.

    It has a row for each clip, windows of one video too, and holds their names, digests included,
    so that ``compare`` and ``external`` know which row is which.

    Args:
        name: a name of ``vidrep.models.names()``, ``file.py:attribute`` or ``module:attribute``: a
            class, a function or a module that is already built.
        files: the clips, and their flow for networks that are fed it.
        output: the store (.zarr or .zarr.zip), written whole or not at all.
        layers: names of its submodules, from input to embedding; none: its own ``layers``.
        params: further arguments of the class or function.
        weights: file of a state dict to load; None: as it was built.
        rows: clips to take, the first so many; None: all.
        policy: see ``vidrep.activations.pooling``.
        dtype: float16 or float32.
        device: where to compute.

    Raises:
        ValueError: no such network, layer or clips, or the network fails on them; one line.
    """
    output = Path(output)
    if output.suffix not in (".zarr", ".zip"):
        raise ValueError(f"{output}: activations are written to a .zarr folder or a .zarr.zip file")
    split = replace(load_split(files, rows), videos=None)  # a row for each clip
    with open_clips(files.clips) as clips:
        about = {"evaluated_on": clips.attrs["dataset"], "classes": clips.attrs["classes"]}
    model = build_any(name, split.shape.clip, params)
    if weights:
        about["weights_sha256"] = start_from(model, weights)
    model.layers = tuple(layers) or _own_layers(model, name)
    _check_layers(model, name)
    objective = device.place(Objective(model, split.shape))
    about |= {"model": name, "layers": list(model.layers), "pooling": policy}
    with _new_group(output, about) as group, _told_in_one_line(name, split.shape.clip):
        store_activations(
            objective, split, group, rows=len(split), policy=policy, dtype=dtype, device=device
        )


@contextmanager
def _new_group(output: Path, attrs: dict):
    """An empty group that becomes ``output``: a zip or, as other programs expect it, a folder."""
    if output.suffix == ".zip":
        with new_store(output, attrs) as group:
            yield group
    else:
        with whole(output) as beside:
            yield zarr.open_group(str(beside), mode="w", attributes=attrs)


def build_any(name: str, clip_shape: tuple[int, int, int, int], params: dict) -> nn.Module:
    """A network by its name, given the clips' (C, T, H, W) if it wants their ``clip_shape``.

    Raises:
        ValueError: no such thing, or it is no network or cannot be built.
    """
    found = resolve_own(name, models.MODELS, "model")
    if isinstance(found, nn.Module) or not callable(found):
        if params:
            raise ValueError(f"model {name!r} is built already and takes no parameters")
        model = found
    elif "clip_shape" in inspect.signature(found).parameters:
        model = models.create(name, clip_shape=clip_shape, **params)
    else:
        try:
            model = found(**params)
        except (TypeError, ValueError) as error:
            raise ValueError(f"model {name!r} cannot be built: {error}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"model {name!r} is {type(model).__name__}, expected a torch module")
    if not hasattr(model, "inputs"):
        model.inputs = ("clip",)
    return model


def _own_layers(model: nn.Module, name: str) -> tuple[str, ...]:
    """The layers that a model itself lists."""
    if hasattr(model, "layers") and not isinstance(model.layers, nn.Module):
        return tuple(model.layers)
    modules = [module for module, _ in model.named_modules() if module]
    raise ValueError(
        f"--layers: model {name!r} does not list its layers; name some of {', '.join(modules)}"
    )


def _check_layers(model: nn.Module, name: str) -> None:
    modules = [module for module, _ in model.named_modules() if module]
    for layer in model.layers:
        if layer not in modules:
            meant = nearest(layer, modules)
            raise ValueError(f"--layers: model {name!r} has no layer {layer!r}; {meant}")


@contextmanager
def _told_in_one_line(name: str, clip_shape: Sequence[int]):
    """What a stranger's code raises becomes one line that names the network and its input."""
    try:
        yield
    except (ValueError, OSError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(
            f"model {name!r} fails on clips (B, C, T, H, W) of {tuple(clip_shape)}: {reason}"
        ) from error
