"""Representations from anybody's files, whose rows are never paired by luck.

Whatever numeric arrays a file holds are representations, but for those called ``labels`` or
``targets``, which must be asked for. An array called ``ids`` names the rows, and one called
``groups`` the clips that rows belong to where several rows are of one clip. Arrays are read in
blocks, so that they need not fit into memory.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vidrep.similarity.arrays import read_blocks, readable_in_blocks
from vidrep.similarity.centring import centre, centre_single, stored_eps
from vidrep.similarity.files import digest_ids, summarise_array
from vidrep.similarity.formats import UNREADABLE, Found, read
from vidrep.similarity.kernel import Activations, Kernel

IDS = "ids"
GROUPS = "groups"
TRUTH = ("label", "labels", "target", "targets")  # seldom meant to be compared
NAMES_OF_ROWS = re.compile(
    r"((clip|file|video|row|sample|image|stimulus|item)_?)?(ids?|names?)|(file|path)s?",
    re.IGNORECASE,
)


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        arrays: representations by name, in the order of the file where it tells one.
        ids: names of the rows, None where it names none.
        groups: (n,) the clip that each row belongs to, None where it does not tell.
        ordered: whether the file tells the order of ``arrays``.
    """

    arrays: dict[str, object]
    ids: list[str] | None
    groups: np.ndarray | None
    ordered: bool


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


@contextmanager
def reading(label: str) -> Iterator[None]:
    """What goes wrong inside while a file is read becomes one line that starts with ``label``."""
    try:
        yield
    except UNREADABLE as error:
        reason = (str(error).splitlines() or ["it ends too early"])[0]
        if reason.startswith(label):
            raise
        raise ValueError(f"{label}: it cannot be read to its end ({reason})") from None


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


def open_file(path: str | os.PathLike, wanted: Sequence[str] = ()) -> Contents:
    """What a file holds.

    Args:
        path: the file.
        wanted: arrays to take, in this order; none: all that can be representations.

    Raises:
        ValueError: no such file, a file of another kind, a damaged one, one without such arrays, or
            ids and rows that do not belong together.
    """
    path = Path(path)
    found = read(path)
    arrays = _chosen(found, wanted, path)
    ids = _ids(found, path)
    groups = None
    if GROUPS in found.arrays:
        groups = np.asarray(found.arrays[GROUPS][:])
    for name, array in arrays.items():
        check_rows(name, array.shape, ids, path)
    return Contents(arrays, ids, groups, bool(wanted or found.layers) or found.ordered)


def _chosen(found: Found, wanted: Sequence[str], path: Path) -> dict[str, object]:
    """The representations of a file: those asked for, those that it lists, or all that can be."""
    names = list(wanted) or found.layers
    if names:
        missing = [name for name in names if name not in found.arrays]
        if missing:
            who = "" if wanted else "its attribute layers lists what it does not hold: "
            held = ", ".join(name for name in found.arrays if name not in (IDS, GROUPS))
            raise ValueError(f"{path}: {who}no array {missing[0]!r}; it holds {held}")
        return {name: found.arrays[name] for name in names}
    arrays = {}
    passed = []
    for name, array in found.arrays.items():
        if name in (IDS, GROUPS) or array.ndim < 2:
            continue
        if name.rpartition("/")[2].lower() in TRUTH:
            passed.append(name)
        else:
            arrays[name] = array
    if not arrays:
        hint = f" but {passed[0]}; ask for it as {path}:{passed[0]}" if passed else " in it"
        raise ValueError(f"{path}: no array of numbers with at least two dimensions{hint}")
    return arrays


def _ids(found: Found, path: Path) -> list[str] | None:
    """Names of the rows, None where the file names none.

    Raises:
        ValueError: not a list of different names, or one that is not called ids.
    """
    if IDS not in found.arrays:
        _refuse_other_name(found, path)
        return None
    array = np.asarray(found.arrays[IDS][:]) if found.arrays[IDS].ndim else np.empty(0)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "USOTiu":
        raise ValueError(
            f"{path}: ids is {array.dtype} {array.shape}, expected names or whole numbers, one for"
            " each row"
        )
    ids = [name.decode() if isinstance(name, bytes) else str(name) for name in array.tolist()]
    name, count = Counter(ids).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"{path}: ids name {name} {'twice' if count == 2 else f'{count} times'}; each row has a"
            " name of its own (an array groups says which rows are of one clip)"
        )
    return ids


def _refuse_other_name(found: Found, path: Path) -> None:
    """Raise ValueError where rows seem to be named by an array that is not called ids."""
    rows = {array.shape[0] for array in found.arrays.values() if array.ndim > 1}
    for name, array in found.arrays.items():
        if array.ndim != 1 or name == GROUPS:
            continue
        if NAMES_OF_ROWS.fullmatch(name.rpartition("/")[2]) or _names_each(array, rows):
            raise ValueError(
                f"{path}: no array ids, but {name!r} seems to name the rows; call it ids, at the"
                " top of the file"
            )


def _names_each(array, rows: set[int]) -> bool:
    """Whether an array holds as many different texts as another array has rows."""
    if array.dtype.kind not in "USOT" or array.shape[0] not in rows:
        return False
    return len(set(np.asarray(array[:]).tolist())) == array.shape[0]


def check_rows(
    name: str, shape: Sequence[int], ids: Sequence[str] | None, path: str | os.PathLike
) -> None:
    """Raise ValueError where an array has not one row for each of ``ids``."""
    if ids is None or shape[0] == len(ids):
        return
    line = f"{path}: array {name!r} has {shape[0]} rows, ids name {len(ids)} clips"
    raise ValueError(line + _transposed(shape, len(ids)))


def _transposed(shape: Sequence[int], clips: int) -> str:
    """What to say of an array with another number of rows, if a later axis has it."""
    if clips not in shape[1:]:
        return ""
    axis = list(shape).index(clips, 1)
    return (
        f"; its shape is {tuple(shape)}, so axis {axis} may be the clips: transpose it, clips come"
        " first"
    )


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
            hint = _transposed(source.array.shape, first.n) or _transposed(
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
