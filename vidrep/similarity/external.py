"""Activations that somebody else's network computed on our clips, made an activation store.

From there on they are a representation like all others: id ``<trained on>/<name>/seed<k>/<layer>``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

import numpy as np

from vidrep.activations.store import LayerWriter, new_store, write_ids, write_labels
from vidrep.datasets.store import open_clips
from vidrep.similarity.arrays import spooled
from vidrep.similarity.centring import BLOCK_BYTES
from vidrep.similarity.sources import open_file, reading

ROWS = 64  # copied at a time, at most
SHOWN = 3  # ids named in an error


def import_activations(
    file: str | os.PathLike,
    clips_file: str | os.PathLike,
    output: str | os.PathLike,
    *,
    count: int,
    attrs: dict,
    layers: Sequence[str] = (),
) -> None:
    """Write an activation store from a file of activations.

    The arrays of the file are the layers, in the order of the file; those of nested groups are
    called by their path with dots (``block.conv1``).

    Numbers keep their precision; integers become float64. Rows are put in the order of the clips;
    the file may hold more of them.

    Args:
        file: of a format that ``vidrep.similarity.formats`` reads: arrays (m, features, ...) and
            ``ids`` (m,), names of clips as the file of clips has them in its array ``ids``.
        clips_file: the evaluation set's test clips.
        output: the store.
        count: test clips that are compared: the first so many.
        attrs: attributes of the store: dataset, system, seed.
        layers: arrays that are layers, in depth order; none: all, in the order of the file.

    Raises:
        ValueError: an order that nothing tells, no ids, clips that are missing or named twice, or
            no finite numbers in an array; names the file.
    """
    arrays, ids, _, ordered = open_file(file, layers)
    if len(arrays) > 1 and not ordered:
        raise ValueError(
            f"{file}: it does not tell the order of its layers, {', '.join(arrays)}; list them from"
            " input to embedding in config key external.layers, or in an attribute layers of it"
        )
    with open_clips(clips_file) as clips:
        wanted = clips.ids[:count]
        labels = clips.labels[:count]
        about = {"evaluated_on": clips.attrs["dataset"], "classes": clips.attrs["classes"]}
    rows = rows_of(ids, wanted, file)
    titles = [name.replace("/", ".") for name in arrays]
    about |= {**attrs, "layers": titles, "source": os.fspath(file)}
    with new_store(output, about) as root:
        write_ids(root, wanted)
        write_labels(root, labels)
        for title, (name, array) in zip(titles, arrays.items(), strict=True):
            label = f"{file}: array {name!r}"
            _check(array, label)
            dtype = array.dtype.name if array.dtype.kind == "f" else "float64"
            writer = LayerWriter(root, title, len(rows), dtype)
            for numbers, values in _read_rows(array, rows, label):
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
        ValueError: the file names no clips, or not all that are wanted.
    """
    if not ids:
        raise ValueError(
            f"{file}: it does not say which clips its rows are; add an array ids, copied from that"
            f" of the clips ({wanted[0]}, ...), e.g. numpy.savez(file, ids=ids, layer=activations)"
        )
    place = {name: i for i, name in enumerate(ids)}
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


def _check(array, label: str) -> None:
    if array.dtype.kind not in "fiub" or 0 in array.shape:
        raise ValueError(
            f"{label} is {array.dtype} {array.shape}, expected numbers of shape (clips, features,"
            " ...)"
        )


def _read_rows(array, rows: np.ndarray, label: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some rows of a NumPy, HDF5 or Zarr array at a time.

    Yields their numbers (b,), and their values (b, features, ...) float.
    """
    chunks = getattr(array, "chunks", None)
    row_bytes = 8 * math.prod(array.shape[1:])
    step = max(1, min(ROWS, BLOCK_BYTES // row_bytes))
    with reading(label):
        if chunks and chunks[0] > step:  # each row would be unpacked with many others
            array = spooled(array)
        # Zarr means something else by array[numbers]
        select = getattr(array, "get_orthogonal_selection", array.__getitem__)
        for start in range(0, len(rows), step):
            numbers = rows[start : start + step]
            ascending = np.sort(numbers)  # as HDF5 wants them
            place = np.searchsorted(ascending, numbers)
            values = np.asarray(select((ascending,)))[place]
            yield numbers, values if values.dtype.kind == "f" else values.astype(np.float64)
