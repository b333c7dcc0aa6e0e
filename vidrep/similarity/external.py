"""Activations that somebody else's network computed on our clips, made an activation store.

From there on they are a representation like all others: id ``<trained on>/<name>/seed<k>/<layer>``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from vidrep.activations.store import LayerWriter, new_store, write_ids, write_labels
from vidrep.datasets.store import open_clips
from vidrep.similarity.sources import open_file

ROWS = 64  # copied at a time
SHOWN = 3  # ids named in an error


def import_activations(
    file: str | os.PathLike,
    clips_file: str | os.PathLike,
    output: str | os.PathLike,
    *,
    count: int,
    attrs: dict,
) -> None:
    """Write an activation store from a file of activations.

    The arrays of the file are the layers, in the order of the file.

    Numbers keep their precision; integers become float64. Rows are put in the order of the clips;
    the file may hold more of them.

    Args:
        file: NumPy (.npz), HDF5 or Zarr: arrays (m, features, ...) and ``ids`` (m,), names of clips
            as the file of clips has them in its array ``ids``.
        clips_file: the evaluation set's test clips.
        output: the store.
        count: test clips that are compared: the first so many.
        attrs: attributes of the store: dataset, system, seed.

    Raises:
        ValueError: no ids, clips that are missing or named twice, or no finite numbers in an array;
            names the file.
    """
    arrays, ids, _ = open_file(file)
    with open_clips(clips_file) as clips:
        wanted = clips.ids[:count]
        labels = clips.labels[:count]
        about = {"evaluated_on": clips.attrs["dataset"], "classes": clips.attrs["classes"]}
    rows = rows_of(ids, wanted, file)
    about |= {**attrs, "layers": list(arrays), "source": os.fspath(file)}
    with new_store(output, about) as root:
        write_ids(root, wanted)
        write_labels(root, labels)
        for name, array in arrays.items():
            label = f"{file}: array {name!r}"
            _check(array, len(ids), label)
            dtype = array.dtype.name if array.dtype.kind == "f" else "float64"
            writer = LayerWriter(root, name, len(rows), dtype)
            for numbers, values in _read_rows(array, rows):
                finite = np.isfinite(values.reshape(len(values), -1)).all(1)
                if not finite.all():
                    bad = ids[numbers[np.argmin(finite)]]
                    raise ValueError(f"{label}: activations of clip {bad} are not finite")
                writer.add(values, values.shape[1:])


def rows_of(
    ids: Sequence[str] | None, wanted: Sequence[str], file: str | os.PathLike
) -> np.ndarray:
    """In which row of ``file`` each wanted clip is, (n,) int.

    Raises:
        ValueError: the file names no clips, not all that are wanted, or one twice.
    """
    if not ids:
        raise ValueError(
            f"{file}: it does not say which clips its rows are; add an array ids, copied from that"
            f" of the clips ({wanted[0]}, ...), e.g. numpy.savez(file, ids=ids, layer=activations)"
        )
    place = {name: i for i, name in enumerate(ids)}
    if len(place) < len(ids):
        twice = next(name for i, name in enumerate(ids) if place[name] != i)
        raise ValueError(f"{file}: ids name {twice} twice; each clip has one row")
    if missing := [name for name in wanted if name not in place]:
        _refuse_other_clips(ids, missing, file)
        raise ValueError(
            f"{file}: {len(missing)} of the {len(wanted)} clips that are compared are missing from"
            f" ids: {_some(missing)}; needed are {wanted[0]} to {wanted[-1]}, in any order; ids"
            f" names {_some(ids)}"
        )
    return np.array([place[name] for name in wanted])


def _refuse_other_clips(
    ids: Sequence[str], missing: Sequence[str], file: str | os.PathLike
) -> None:
    """Raise ValueError where ids name clips that stand in the place of missing ones.

    Data set, split and number agree then, and the digest of the pixels does not.
    """
    by_place = {name.rpartition("-")[0]: name for name in ids if "-" in name}
    for name in missing:
        found = by_place.get(name.rpartition("-")[0])
        if found:
            raise ValueError(
                f"{file}: its activations are of other clips: ids names {found}, but the clip that"
                f" is compared is {name}; another seed or version of the data set made them, so"
                " compute them anew on the clips of this experiment"
            )


def _some(names: Sequence[str]) -> str:
    """The first few of some names."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _check(array, clips: int, label: str) -> None:
    if array.dtype.kind not in "fiub" or 0 in array.shape:
        raise ValueError(
            f"{label} is {array.dtype} {array.shape}, expected numbers of shape (clips, features,"
            " ...)"
        )
    if array.shape[0] != clips:
        raise ValueError(f"{label} has {array.shape[0]} rows, ids name {clips} clips")


def _read_rows(array, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some rows of a NumPy, HDF5 or Zarr array at a time.

    Yields their numbers (b,), and their values (b, features, ...) float.
    """
    # Zarr means something else by array[numbers]
    select = getattr(array, "get_orthogonal_selection", array.__getitem__)
    for start in range(0, len(rows), ROWS):
        numbers = rows[start : start + ROWS]
        ascending = np.sort(numbers)  # as HDF5 wants them
        place = np.searchsorted(ascending, numbers)
        values = np.asarray(select((ascending,)))[place]
        yield numbers, values if values.dtype.kind == "f" else values.astype(np.float64)
