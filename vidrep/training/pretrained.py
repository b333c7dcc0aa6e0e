"""Pretrained weights from a local file; nothing is ever downloaded."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from vidrep.models.weights import load_state

TORCH_SUFFIXES = (".pt", ".pth", ".th", ".bin", ".ckpt")
NUMPY_SUFFIX = ".npz"
SAFE_SUFFIX = ".safetensors"
WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys of checkpoints, as usual
PREFIXES = ("module.", "_orig_mod.")  # before every name, by DataParallel and torch.compile
OF_MODEL = "model."  # what stands before the model's names in the weights of a run
FIRST = 8


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name.

    A checkpoint that keeps them under one of ``WRAPPERS`` is unwrapped, and one of ``PREFIXES``
    removed where all names have it.

    Args:
        path: a file of ``torch.save`` (.pt, .pth, .th, .bin, .ckpt; read without running code from
            it), of ``numpy.savez`` (.npz) or of safetensors.

    Raises:
        ValueError: another kind of file, a damaged one, or one with other things than named
            tensors.
        OSError: the file cannot be read.
    """
    path = Path(path)
    state = _unwrapped(_read(path))
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: no state dict in it, only {type(state).__name__}")
    others = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise ValueError(f"{path}: not only tensors in its state dict: {', '.join(others[:FIRST])}")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return dict(state)


def _unwrapped(content):
    """The state dict in a checkpoint, or the content as it is."""
    if isinstance(content, Mapping):
        for key in WRAPPERS:
            if isinstance(content.get(key), Mapping):
                return content[key]
    return content


def _read(path: Path):
    """Whatever a weights file holds; ValueError in one line where it cannot be read."""
    suffixes = (*TORCH_SUFFIXES, NUMPY_SUFFIX, SAFE_SUFFIX)
    if path.suffix not in suffixes:
        raise ValueError(f"{path}: weights are read from files {', '.join(suffixes)}")
    try:
        if path.suffix == NUMPY_SUFFIX:
            return _read_numpy(path)
        if path.suffix == SAFE_SUFFIX:
            return _read_safetensors(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise ValueError(
            f"{path}: damaged, or it holds more than plain tensors, which is not loaded"
        ) from None
    except (RuntimeError, EOFError, BadZipFile, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "empty"
        raise ValueError(f"{path}: not a readable weights file ({reason})") from None


def _read_numpy(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise ValueError("reading it takes the package safetensors, which is missing") from None
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def start_from(model: nn.Module, path: str | Path) -> str:
    """Let a model start from a weights file.

    It may be that of a run of the same model, one with the model's own names, or one that the
    model's ``load_pretrained`` takes.

    Returns:
        SHA-256 of the file.

    Raises:
        ValueError: the file does not fit the model.
        OSError: the file cannot be read.
    """
    state = read_state(path)
    within = {
        name.removeprefix(OF_MODEL): value
        for name, value in state.items()
        if name.startswith(OF_MODEL)
    }
    has_part_model = all(name.startswith(OF_MODEL) for name in model.state_dict())
    if within and not has_part_model:
        load_state(model, within, path)
    elif hasattr(model, "load_pretrained"):
        model.load_pretrained(state, path)
    else:
        load_state(model, state, path)
    return sha256(path)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
