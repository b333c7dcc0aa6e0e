"""The representations in a file, and the names of their rows, or one line on what is wrong.

An array called ``ids`` names the rows, and one called ``groups`` the clips that rows belong to
where several rows are of one clip. Other arrays of numbers are representations, but for those
called ``labels`` or ``targets``, which must be asked for.
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

from vidrep.similarity.formats import UNREADABLE, Found, read

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
    raise ValueError(line + transposed(shape, len(ids)))


def transposed(shape: Sequence[int], clips: int) -> str:
    """What to say of an array with another number of rows, if a later axis has it."""
    if clips not in shape[1:]:
        return ""
    axis = list(shape).index(clips, 1)
    return (
        f"; its shape is {tuple(shape)}, so axis {axis} may be the clips: transpose it, clips come"
        " first"
    )
