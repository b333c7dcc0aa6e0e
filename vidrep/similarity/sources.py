"""Representations from anybody's files, whose rows are never paired by luck.

Arrays are read in blocks, so that they need not fit into memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vidrep.similarity.arrays import read_blocks, readable_in_blocks
from vidrep.similarity.centring import centre, centre_single, stored_eps
from vidrep.similarity.contents import open_file, reading, transposed
from vidrep.similarity.files import digest_ids, summarise_array
from vidrep.similarity.kernel import Activations, Kernel


class Source(Activations):
    """One array of a file.

    Attributes:
        name: as it was called on the command line; else the file's stem, and the array's name in it
            if it holds several.
        array: (n, features, ...), sliceable; read when it is needed.
        n, d, eps: as of ``Kernel``.
        ids: digest of the clips' names in their order, None where the file names none.
        path: the file.
        groups: (n,) the clip that each row belongs to, None where the file does not tell.
    """

    def __init__(
        self,
        name: str,
        array,
        path: Path,
        *,
        ids: str | None = None,
        groups: np.ndarray | None = None,
    ) -> None:
        self.name = name
        self.path = path
        self.ids = ids
        self.groups = groups
        self.label = f"{path}: {name}"
        if array.ndim < 2 or 0 in array.shape or array.dtype.kind not in "fiub":
            raise ValueError(
                f"{self.label} is {array.dtype} {tuple(array.shape)}, expected numbers of shape"
                " (clips, features, ...)"
            )
        with reading(self.label):
            self.array = readable_in_blocks(array)
        self.n = array.shape[0]
        self.d = int(np.prod(array.shape[1:]))
        self.eps = stored_eps(array.dtype)

    def load(self) -> Kernel:
        """Its kernel summary.

        Raises:
            ValueError: numbers that are not finite, or that cannot be read.
        """
        with reading(self.label):
            return summarise_array(self.array, self.label)

    def centred(self, dtype: np.dtype, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """As ``Kernel.centred``."""
        centred = centre if dtype == np.float64 else centre_single
        with reading(self.label):
            for block in read_blocks(self.array, 8 * self.n * width):
                yield centred(block, self.label)


def open_sources(given: Sequence[str | os.PathLike]) -> list[Source]:
    """All arrays of several files, checked to be of the same clips.

    Args:
        given: ``[NAME=]FILE[:ARRAY]``: files, one array of a file, under a name of one's own.

    Raises:
        ValueError: no such file or array, a file of another kind, or files of different clips; the
            line names them.
    """
    found = []
    for text in given:
        found += _open(os.fspath(text))
    _check_names(found)
    _check_clips(found)
    return found


def _open(given: str) -> list[Source]:
    """The arrays that one argument names."""
    title, path, wanted = _parts(given)
    contents = open_file(path, [wanted] if wanted else ())
    digest = None if contents.ids is None else digest_ids(np.asarray(contents.ids))
    sources = []
    for name, array in contents.arrays.items():
        if not wanted and len(contents.arrays) > 1:
            name = f"{title or path.stem}/{name}"
        elif wanted and not title and name != path.stem:
            name = f"{path.stem}/{name}"
        else:
            name = title or path.stem
        sources.append(Source(name, array, path, ids=digest, groups=contents.groups))
    return sources


def _parts(given: str) -> tuple[str, Path, str]:
    """The name, the file and the array in ``[NAME=]FILE[:ARRAY]``; "" for what is left out."""
    title = ""
    path = given
    wanted = ""
    if not Path(path).exists() and "=" in path:
        title, _, path = path.partition("=")
    if not Path(path).exists():
        path, _, wanted = path.rpartition(":")
    if not path or not Path(path).exists():
        raise ValueError(f"{given}: no such file")
    return title, Path(path), wanted


def _check_names(sources: Sequence[Source]) -> None:
    by_name: dict[str, Source] = {}
    for source in sources:
        if source.name in by_name:
            raise ValueError(
                f"{by_name[source.name].path} and {source.path} are both called {source.name};"
                f" give one a name of its own, as in NAME={source.path}"
            )
        by_name[source.name] = source


def _check_clips(sources: Sequence[Source]) -> None:
    """Refuse sources that are not known to be of the same clips."""
    first = sources[0]
    for source in sources[1:]:
        if source.n != first.n:
            hint = transposed(source.array.shape, first.n) or transposed(
                first.array.shape, source.n
            )
            raise ValueError(
                f"{first.label} has {first.n} rows, {source.label} {source.n}; compared are the"
                f" same clips in the same order{hint}"
            )
    named = [source for source in sources if source.ids]
    unnamed = [source for source in sources if not source.ids]
    if named and unnamed:
        raise ValueError(
            f"{named[0].path} names its rows, {unnamed[0].path} does not, so they may be of other"
            f" clips; give {unnamed[0].path} an array ids"
        )
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
        if source.groups.shape != (source.n,):
            raise ValueError(
                f"{source.path}: groups has shape {source.groups.shape}, expected one entry for"
                f" each of {source.n} rows"
            )
        if not np.array_equal(source.groups, telling[0].groups):
            raise ValueError(
                f"{telling[0].path} and {source.path} divide the rows into different groups"
            )
    return telling[0].groups if telling else None
