"""Kernel summaries on disk: from an activation store to one HDF5 file, and back.

The file has a group per layer.

Kernels and factors are stored in float32 after all sums ran in float64; the columns of a factor
keep their relative precision, so that small singular values survive. The file names its store, for
the one measure that needs the activations again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from vidrep.files import whole
from vidrep.similarity.arrays import read_blocks
from vidrep.similarity.centring import stored_eps
from vidrep.similarity.kernel import Kernel, summarise_blocks

FORMAT = 1
GROUPS = "_groups"  # no layer is called so: names of layers are those of modules
NUMBERS = ("n", "d", "scale", "mean_square", "mean_sum", "mean_spread", "eps", "flag")
PARTS = ("matrix", "factor", "singular_values")


class _Parts(Mapping):
    """The large arrays of a stored kernel, each read when it is asked for."""

    def __init__(self, path: Path, layer: str) -> None:
        self.path = path
        self.layer = layer

    def __getitem__(self, part: str) -> np.ndarray:
        with h5py.File(self.path, "r") as file:
            return file[self.layer][part][()]

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Part of the matrix: see ``Kernel.matrix_rows``."""
        with h5py.File(self.path, "r") as file:
            return file[self.layer]["matrix"][start:stop, :stop]

    def __iter__(self) -> Iterator[str]:
        return iter(PARTS)

    def __len__(self) -> int:
        return len(PARTS)


@dataclass(frozen=True)
class StoredKernel:
    """A kernel summary in a file: known by name, read when ``load`` is called.

    Attributes:
        path, layer: where it lies.
        rep: ``<dataset>/<system>/seed<k>/<layer>``.
        n: clips.
        ids: digest of the clip ids in their order.
        store: activation store it was made from.
        groups: what each clip shares with others, where clips are not independent; else None.
    """

    path: Path
    layer: str
    rep: str
    n: int
    ids: str
    store: Path
    groups: tuple[str, ...] | None = None

    def load(self) -> Kernel:
        """The summary; its arrays stay in the file until a measure asks for them."""
        with h5py.File(self.path, "r") as file:
            group = file[self.layer]
            numbers = {key: group.attrs[key] for key in NUMBERS}
            vectors = {key: group[key][()] for key in ("a", "b")}
            rank = int(group.attrs["rank"])
        parts = _Parts(self.path, self.layer)
        kernel = Kernel(
            **{**numbers, "n": int(numbers["n"]), "d": int(numbers["d"])},
            **vectors,
            given=parts,
            features=self._features,
            name=self.rep,
        )
        kernel.rank = rank
        return kernel

    def _features(self) -> Iterator[np.ndarray]:
        return summarise_layer(open_store(self.store), self.layer, self.store).features()


def open_store(path: str | os.PathLike):
    """The Zarr group of an activation store, checked for what a kernel needs of it.

    Raises:
        ValueError: not an activation store; the line names the path.
    """
    # zarr is slow to import, and comparing kernels does without
    from vidrep.activations import store

    root = store.open_store(path)
    missing = [key for key in ("layers", "dataset", "system", "seed") if key not in root.attrs]
    if "ids" not in root:
        missing.append("ids")
    if missing:
        raise ValueError(f"{path}: not an activation store, it lacks {', '.join(missing)}")
    return root


def summarise_layer(root, layer: str, path: str | os.PathLike) -> Kernel:
    """The kernel summary of one layer of an open activation store, read in feature blocks."""
    from vidrep.activations.store import find_array

    if layer not in root:
        raise ValueError(f"{path}: the store lists layer {layer!r} but has no such array")
    array, _ = find_array(root, layer)
    n = root["ids"].shape[0]
    if array.shape[:1] != (n,):
        raise ValueError(
            f"{path}: layer {layer!r} is {array.dtype} {array.shape}, the store names {n} clips"
        )
    return summarise_array(array, f"{path}: layer {layer!r}")


def summarise_array(array, label: str) -> Kernel:
    """The kernel summary of an array (n, features, ...), read in feature blocks.

    The array is one of NumPy, HDF5 or Zarr, or a ``RawArray``.

    Raises:
        ValueError: not such an array, or numbers that are not finite; the line starts with
            ``label``.
    """
    if array.ndim < 2 or 0 in array.shape or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{label} is {array.dtype} {array.shape}, expected numbers of shape (clips, features,"
            " ...)"
        )
    shape = array.shape[0], int(np.prod(array.shape[1:]))
    return summarise_blocks(lambda: read_blocks(array), shape, stored_eps(array.dtype), label)


def digest_ids(ids: np.ndarray) -> str:
    """Digest of clip ids in their order."""
    names = [item.decode() if isinstance(item, bytes) else str(item) for item in ids.tolist()]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def write_kernels(store: str | os.PathLike, output: str | os.PathLike) -> None:
    """Summarise every layer of an activation store into one HDF5 file, a group per layer.

    Raises:
        ValueError: not an activation store, or activations that are not finite; the line names
            store and layer.
    """
    root = open_store(store)
    output = Path(output)
    run = f"{root.attrs['dataset']}/{root.attrs['system']}/seed{root.attrs['seed']}"
    with whole(output) as beside, h5py.File(beside, "w", libver="latest") as file:
        file.attrs["format"] = FORMAT
        file.attrs["layers"] = list(root.attrs["layers"])
        file.attrs["ids"] = digest_ids(root["ids"][:])
        file.attrs["store"] = os.path.relpath(store, output.parent)
        if "groups" in root:
            names = [str(name).encode() for name in root["groups"][:].tolist()]
            file.create_dataset(GROUPS, data=np.array(names, "S"))
        for layer in root.attrs["layers"]:
            kernel = summarise_layer(root, layer, store)
            _write_kernel(file.create_group(layer), kernel, f"{run}/{layer}")


def _write_kernel(group: h5py.Group, kernel: Kernel, rep: str) -> None:
    group.attrs["rep"] = rep
    for key in NUMBERS:
        group.attrs[key] = getattr(kernel, key)
    group.attrs["rank"] = kernel.rank
    group["a"] = kernel.a
    group["b"] = kernel.b
    group["matrix"] = kernel.matrix.astype(np.float32)
    if kernel.flag:
        group["factor"] = np.zeros((kernel.n, 0), np.float32)
        group["singular_values"] = np.zeros(0)
    else:
        group["factor"] = kernel.factor.astype(np.float32)
        group["singular_values"] = kernel.singular_values


def open_kernels(paths: Sequence[str | os.PathLike]) -> list[StoredKernel]:
    """All kernels of several files, in the order of the files and of the layers in them.

    Raises:
        ValueError: a file that holds no kernels, two files of different clips or with the same
            representation; names the files.
    """
    found: list[StoredKernel] = []
    for path in map(Path, paths):
        try:
            found += _kernels_in(path)
        except FileNotFoundError:
            raise ValueError(f"{path}: no such file") from None
        except (OSError, KeyError) as error:
            raise ValueError(f"{path}: not a file of kernels ({error})") from None
    _check_same_clips(found)
    return found


def _kernels_in(path: Path) -> list[StoredKernel]:
    """All kernels of one file, in the order of the layers."""
    with h5py.File(path, "r") as file:
        ids = str(file.attrs["ids"])
        store = path.parent / str(file.attrs["store"])
        groups = None
        if GROUPS in file:
            groups = tuple(name.decode() for name in file[GROUPS][:])
        kernels = []
        for layer in file.attrs["layers"]:
            attrs = file[layer].attrs
            kernel = StoredKernel(
                path, str(layer), str(attrs["rep"]), int(attrs["n"]), ids, store, groups
            )
            kernels.append(kernel)
    return kernels


def _check_same_clips(kernels: Sequence[StoredKernel]) -> None:
    seen: dict[str, Path] = {}
    for kernel in kernels:
        if kernel.ids != kernels[0].ids:
            first = kernels[0]
            raise ValueError(
                f"{first.path} and {kernel.path} hold different clips or another order of them"
                f" ({first.n} and {kernel.n} clips)"
            )
        if kernel.rep in seen:
            raise ValueError(f"{seen[kernel.rep]} and {kernel.path} both hold {kernel.rep}")
        seen[kernel.rep] = kernel.path
