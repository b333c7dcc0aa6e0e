"""Representations from anybody's files: NumPy (.npy, .npz), HDF5 (.h5, .hdf5), Zarr, our stores.

Whatever numeric arrays a file holds are representations; an array called ``ids`` names the rows,
and one called ``groups`` the clips that rows belong to where several rows are of one clip. Arrays
are read in feature blocks, so that they need not fit into memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidrep.similarity.files import digest_ids, summarise_array
from vidrep.similarity.kernel import Kernel

IDS = "ids"
GROUPS = "groups"
SUFFIXES = (".npy", ".npz", ".h5", ".hdf5", ".zarr", ".zip")


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        arrays: by name, in the order of the file: as written in .npz, as its attribute ``layers``
            says in .zarr, .h5 and .hdf5.
        ids: names of the rows, None where it names none.
        groups: (n,) the clip that each row belongs to, None where it does not tell.
    """

    arrays: dict[str, object]
    ids: list[str] | None
    groups: np.ndarray | None


@dataclass
class Source:
    """One array of a file.

    Attributes:
        name: file stem, and the array's name in it if it holds several.
        array: (n, features, ...), sliceable; read when summarised.
        ids: digest of the clips' names in their order, None where the file names none.
        path: the file.
        groups: (n,) the clip that each row belongs to, None where the file does not tell.
    """

    name: str
    array: object
    ids: str | None
    path: Path
    groups: np.ndarray | None = None

    def summarise(self) -> Kernel:
        """Its kernel summary.

        Raises:
            ValueError: no numbers of shape (clips, features, ...), or numbers that are not finite.
        """
        return summarise_array(self.array, f"{self.path}: {self.name}")


def open_sources(paths: Sequence[str | os.PathLike]) -> list[Source]:
    """All arrays of several files, checked to be of the same clips.

    Args:
        paths: files, or ``FILE:ARRAY`` for one array of a file.

    Raises:
        ValueError: no such file or array, a file of another kind, or files of different clips; the
            line names them.
    """
    found = []
    for path in paths:
        found += _open(os.fspath(path))
    _check_names(found)
    _check_clips(found)
    return found


def _check_names(sources: Sequence[Source]) -> None:
    by_name: dict[str, Source] = {}
    for source in sources:
        if source.name in by_name:
            raise ValueError(
                f"{by_name[source.name].path} and {source.path} are both called {source.name};"
                " rename one"
            )
        by_name[source.name] = source


def _check_clips(sources: Sequence[Source]) -> None:
    for source in sources[1:]:
        first = sources[0]
        if source.array.shape[0] != first.array.shape[0]:
            raise ValueError(
                f"{first.path} has {first.array.shape[0]} clips, {source.path}"
                f" {source.array.shape[0]}; compared files hold the same clips in the same order"
            )
    named = [source for source in sources if source.ids]
    for source in named[1:]:
        if source.ids != named[0].ids:
            raise ValueError(
                f"{named[0].path} and {source.path} hold different clips or another order of them"
                " (their ids differ)"
            )


def groups_of(sources: Sequence[Source]) -> np.ndarray | None:
    """The clips that the rows of all sources belong to, None where no file tells.

    Raises:
        ValueError: files that tell it differently; the line names them.
    """
    telling = [source for source in sources if source.groups is not None]
    for source in telling:
        n = source.array.shape[0]
        if source.groups.shape != (n,):
            raise ValueError(
                f"{source.path}: groups has shape {source.groups.shape}, expected one entry for"
                f" each of {n} rows"
            )
        if not np.array_equal(source.groups, telling[0].groups):
            raise ValueError(
                f"{telling[0].path} and {source.path} divide the rows into different groups"
            )
    return telling[0].groups if telling else None


def _open(given: str) -> list[Source]:
    """The arrays that one argument names."""
    path = given
    wanted = ""
    if not Path(given).exists():
        path, _, wanted = given.rpartition(":")
    if not path or not Path(path).exists():
        raise ValueError(f"{given}: no such file")
    path = Path(path)
    arrays, ids, groups = open_file(path)
    if wanted and wanted not in arrays:
        raise ValueError(f"{path}: no array {wanted!r}; it holds {', '.join(arrays)}")
    digest = None if ids is None else digest_ids(np.asarray(ids))
    sources = []
    for name in [wanted] if wanted else arrays:
        title = path.stem if len(arrays) == 1 else f"{path.stem}/{name}"
        sources.append(Source(title, arrays[name], digest, path, groups))
    return sources


def open_file(path: str | os.PathLike) -> Contents:
    """What a file holds.

    Raises:
        ValueError: no such file, a file of another kind, or one without arrays of at least two
            dimensions.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: representations are read from {', '.join(SUFFIXES)} files")
    try:
        arrays = _arrays(path)
        ids = np.asarray(arrays.pop(IDS)[()]).ravel().tolist() if IDS in arrays else None
        groups = np.asarray(arrays.pop(GROUPS)[()]) if GROUPS in arrays else None
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: not a readable {path.suffix} file ({str(error).splitlines()[0] or 'empty'})"
        ) from None
    if not arrays:
        raise ValueError(f"{path}: no array of numbers with at least two dimensions in it")
    if ids:
        ids = [name.decode() if isinstance(name, bytes) else str(name) for name in ids]
    return Contents(arrays, ids, groups)


def _arrays(path: Path) -> dict[str, object]:
    """Arrays of a file by name: those of at least two dimensions, ids and groups.

    They are in the order of layers where the file tells it.
    """
    if path.suffix == ".npy":
        found = {path.stem: np.load(path, mmap_mode="r", allow_pickle=False)}
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    elif path.suffix == ".zip":
        from vidrep.activations.store import find_array, open_store

        root = open_store(path)
        names = root.attrs.get("layers", list(root.array_keys()))
        found = {name: find_array(root, name)[0] for name in (*names, IDS)}
    elif path.suffix == ".zarr":
        import zarr

        root = zarr.open(os.fspath(path), mode="r")
        is_group = hasattr(root, "arrays")
        found = _members(root, dict(root.arrays())) if is_group else {path.stem: root}
    else:
        import h5py

        root = h5py.File(path, "r")
        arrays = {name: item for name, item in root.items() if isinstance(item, h5py.Dataset)}
        found = _members(root, arrays)
    return {name: array for name, array in found.items() if name in (IDS, GROUPS) or array.ndim > 1}


def _members(root, arrays: dict[str, object]) -> dict[str, object]:
    """The arrays of a Zarr or HDF5 group.

    Those that its attribute ``layers`` lists, in that order, where it has one.
    """
    layers = [str(name) for name in root.attrs.get("layers", ())]
    if not layers:
        return arrays
    about_rows = [name for name in (IDS, GROUPS) if name in arrays]
    return {name: root[name] for name in (*layers, *about_rows)}
