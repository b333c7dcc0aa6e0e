"""Activations that somebody else's network computed on our clips, made an activation store.

From there on they are a representation like all others: id ``<trained on>/<name>/seed<k>/<layer>``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vidrep.activations.store import (
    LayerWriter,
    new_store,
    write_groups,
    write_ids,
    write_labels,
)
from vidrep.datasets.store import open_clips
from vidrep.similarity.arrays import spooled
from vidrep.similarity.centring import BLOCK_BYTES
from vidrep.similarity.contents import open_file, reading
from vidrep.windows import cuts, first_of_videos, mean_of_videos, names_of_videos

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
    the file may hold more of them. Where several clips are windows of one video, the store has a
    row a video: the mean of its clips, or a row that the file has for the video.

    Args:
        file: of a format that ``vidrep.similarity.formats`` reads: arrays (m, features, ...) and
            ``ids`` (m,), names of clips as the file of clips has them in its array ``ids``.
        clips_file: the evaluation set's test clips.
        output: the store.
        count: test clips (of videos: videos) that are compared: the first so many.
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
    wanted, about = _wanted(clips_file, count)
    as_videos = wanted.videos is not None and not set(wanted.ids) & set(ids or ())
    rows = rows_of(ids, wanted.names if as_videos else wanted.ids, file)
    videos = None if as_videos else wanted.videos
    titles = [name.replace("/", ".") for name in arrays]
    about |= {**attrs, "layers": titles, "source": os.fspath(file)}
    with new_store(output, about) as root:
        write_ids(root, wanted.names)
        write_labels(root, wanted.labels)
        if wanted.groups is not None:
            write_groups(root, wanted.groups)
        for title, (name, array) in zip(titles, arrays.items(), strict=True):
            label = f"{file}: array {name!r}"
            _check(array, label)
            dtype = array.dtype.name if array.dtype.kind == "f" else "float64"
            writer = LayerWriter(root, title, len(wanted.names), dtype)
            for numbers, values in _read_rows(array, rows, videos, label):
                finite = np.isfinite(values.reshape(len(values), -1)).all(1)
                if not finite.all():
                    bad = ids[numbers[np.argmin(finite)]]
                    raise ValueError(f"{label}: activations of clip {bad} are not finite")
                writer.add(values, values.shape[1:])


class _Wanted(NamedTuple):
    """What is compared on an evaluation set.

    Attributes:
        ids: names of the clips.
        videos: (clips,) the video that each of them is a window of, None where each is one.
        names: of what has a row in a store: the videos, or the clips.
        labels: (rows, classes) their labels.
        groups: what the videos share with others, None where they are independent.
    """

    ids: list[str]
    videos: np.ndarray | None
    names: list[str]
    labels: np.ndarray
    groups: list[str] | None


def _wanted(clips_file: str | os.PathLike, count: int) -> tuple[_Wanted, dict]:
    """The first ``count`` clips or videos of an evaluation set, and attributes of it."""
    with open_clips(clips_file) as clips:
        about = {"evaluated_on": clips.attrs["dataset"], "classes": clips.attrs["classes"]}
        videos = groups = None
        end = count
        if "videos" in clips.extras:
            videos = clips.extras["videos"][:].astype(np.int64)
            end = int(np.searchsorted(videos, count))
            videos = videos[:end]
            groups = [group.decode() for group in clips.extras["groups"][:end]]
            groups = first_of_videos(groups, videos)
        ids = clips.ids[:end]
        labels = np.array(first_of_videos(clips.labels[:end], videos))
    return _Wanted(ids, videos, names_of_videos(ids, videos), labels, groups), about


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


def _read_rows(
    array, rows: np.ndarray, videos: np.ndarray | None, label: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Some rows of a NumPy, HDF5 or Zarr array at a time, those of a video averaged.

    Yields numbers of rows (b,), and their values (b, features, ...) float.
    """
    chunks = getattr(array, "chunks", None)
    row_bytes = 8 * math.prod(array.shape[1:])
    step = max(1, min(ROWS, BLOCK_BYTES // row_bytes))
    with reading(label):
        if chunks and chunks[0] > step:  # each row would be unpacked with many others
            array = spooled(array)
        # Zarr means something else by array[numbers]
        select = getattr(array, "get_orthogonal_selection", array.__getitem__)
        for cut in cuts(len(rows), step, videos):
            numbers = rows[cut]
            of_videos = None if videos is None else videos[cut]
            ascending = np.sort(numbers)  # as HDF5 wants them
            place = np.searchsorted(ascending, numbers)
            values = np.asarray(select((ascending,)))[place]
            values = values if values.dtype.kind == "f" else values.astype(np.float64)
            firsts = np.array(first_of_videos(numbers, of_videos))
            yield firsts, mean_of_videos(values, of_videos)
