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

TORCH_SUFFIXES = (".pt", ".pth", ".th")
NUMPY_SUFFIX = ".npz"
PARALLEL = "module."  # what torch's DataParallel puts before every name
OF_MODEL = "model."  # what stands before the model's names in the weights of a run
FIRST = 8


def read_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name.

    A checkpoint that keeps them under ``state_dict`` is unwrapped, and the prefix ``module.``
    removed where all names have it.

    Args:
        path: a file of ``torch.save`` (.pt, .pth, .th; read without running code from it) or of
            ``numpy.savez`` (.npz).

    Raises:
        ValueError: another kind of file, a damaged one, or one with other things than named
            tensors.
        OSError: the file cannot be read.
    """
    path = Path(path)
    state = _read(path)
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: no state dict in it, only {type(state).__name__}")
    others = [str(name) for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise ValueError(f"{path}: not only tensors in its state dict: {', '.join(others[:FIRST])}")
    if all(name.startswith(PARALLEL) for name in state):
        state = {name.removeprefix(PARALLEL): value for name, value in state.items()}
    return dict(state)


def _read(path: Path):
    """Whatever a weights file holds; ValueError in one line where it cannot be read."""
    if path.suffix not in (*TORCH_SUFFIXES, NUMPY_SUFFIX):
        raise ValueError(
            f"{path}: weights are read from {', '.join(TORCH_SUFFIXES)} and {NUMPY_SUFFIX} files"
        )
    try:
        if path.suffix == NUMPY_SUFFIX:
            return _read_numpy(path)
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


def start_from(model: nn.Module, path: str | Path) -> str:
    """Let a model start from a weights file.

    It may be that of a run of the same model, or one that the model's ``load_pretrained`` takes.

    Returns:
        SHA-256 of the file.

    Raises:
        ValueError: the model takes none, or the file does not fit it.
        OSError: the file cannot be read.
    """
    state = read_state(path)
    own = {
        name.removeprefix(OF_MODEL): value
        for name, value in state.items()
        if name.startswith(OF_MODEL)
    }
    if own:
        load_state(model, own, path)
    elif hasattr(model, "load_pretrained"):
        model.load_pretrained(state, path)
    else:
        raise ValueError(
            f"{path}: model {type(model).__name__} takes no pretrained weights but those of a run"
            " of its own: it has no method load_pretrained"
        )
    return sha256(path)


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
