"""Activation stores: one zip of a Zarr group a run and evaluation set, an array a layer.

One file, because file systems of clusters bear few files; Zarr, because a block of features is read
without the rest. Every entry of a zip is written once, so rows wait until a chunk is full. Of equal
arrays, such as a last convolution and the embedding that is its output flattened, one is stored; in
place of the others stand groups without members that name it.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import zarr
from zarr.storage import ZipStore

from vidrep.files import whole

ROWS_PER_CHUNK = 256
FEATURES_PER_CHUNK = 16384
WAITING_BYTES = 16 * 2**20  # rows that wait for a chunk to be full, at most
EQUAL_TO = "equal_to"  # attribute of a group that stands for an array


class _Archive(ZipStore):
    """A zip of a Zarr group whose bytes do not depend on the clock."""

    def _set(self, key: str, value) -> None:
        entry = zipfile.ZipInfo(key)
        entry.external_attr = 0o644 << 16
        self._zf.writestr(entry, value.to_bytes())


@contextmanager
def new_store(path: str | Path, attrs: dict) -> Iterator[zarr.Group]:
    """An empty store with these attributes, which becomes ``path`` if the block ends well."""
    # so that the order of entries is always the same
    one_at_a_time = zarr.config.set({"async.concurrency": 1})
    with whole(path) as beside, one_at_a_time, _Archive(beside, mode="w") as archive:
        yield zarr.create_group(archive, attributes=attrs)


def open_store(path: str | Path) -> zarr.Group:
    """A store's root, or a Zarr group that lies in a folder.

    Raises:
        ValueError: no Zarr group there; the line names the path.
    """
    path = Path(path)
    try:
        place = ZipStore(path, mode="r") if path.is_file() else str(path)
        return zarr.open_group(place, mode="r")
    except (FileNotFoundError, zipfile.BadZipFile, zarr.errors.BaseZarrError):
        raise ValueError(f"{path}: no activation store there (expected a Zarr group)") from None


def find_array(group: zarr.Group, name: str) -> tuple[zarr.Array, tuple[int, ...]]:
    """The array that holds the values of array ``name``, and the shape that ``name`` has.

    Raises:
        KeyError: the group has no such array.
    """
    found = group[name]
    if isinstance(found, zarr.Array):
        return found, found.shape
    equal = zarr.open_array(found.store, path=found.attrs[EQUAL_TO], mode="r")
    return equal, (equal.shape[0], *found.attrs["shape"])


def read_array(group: zarr.Group, name: str) -> np.ndarray:
    """The values of an array of a store."""
    array, shape = find_array(group, name)
    return np.asarray(array[:]).reshape(shape)


class LayerWriter:
    """Writes one layer's rows; whole chunks at a time.

    Args:
        group: where the array goes.
        name: the layer.
        rows: n, rows in all.
        dtype: float16 or float32.
        others: writers of the same clips that are given each batch before this one; an array
            equal to one of theirs is not stored again.
    """

    def __init__(
        self,
        group: zarr.Group,
        name: str,
        rows: int,
        dtype: str,
        others: Sequence[LayerWriter] = (),
    ) -> None:
        self.group = group
        self.name = name
        self.rows = rows
        self.dtype = np.dtype(dtype)
        self.others = others
        self.array: zarr.Array | None = None
        self.equal: LayerWriter | None = None  # whose rows have been the same so far
        self.waiting: list[np.ndarray] = []
        self.last: np.ndarray | None = None  # the latest batch
        self.added = 0
        self.written = 0

    def add(self, values: np.ndarray, original_shape: tuple[int, ...]) -> None:
        """Append rows (b, features...) float32; ``original_shape`` is a clip's before pooling.

        Raises:
            ValueError: values that are not finite, or too large for the dtype.
        """
        self._check(values)
        stored = values.astype(self.dtype)
        if self.added == 0:
            self.equal = self._first_equal(stored)
            self.original_shape = list(original_shape)
        elif self.equal and not _same(self.equal.last, stored):
            self._part(stored.shape[1:])
        self.last = stored
        self.added += len(stored)
        if self.equal is None:
            self.waiting.append(stored)
            self._flush()
        elif self.added == self.rows:
            self._refer(stored.shape[1:])

    def _check(self, values: np.ndarray) -> None:
        largest = np.abs(values.reshape(len(values), -1)).max(1, initial=0.0)  # (b,)
        bad = ~(largest <= np.finfo(self.dtype).max)
        if not bad.any():
            return
        row = int(np.argmax(bad))
        raise ValueError(
            f"layer {self.name}, clip {self.added + row}: activation of size {largest[row]:g} does"
            f" not fit {self.dtype}; set config key activations.dtype to float32, or look into the"
            " run if it is not finite"
        )

    def _first_equal(self, stored: np.ndarray) -> LayerWriter | None:
        """The first of the others that was given the same first batch and stores it."""
        for other in self.others:
            if other.equal is None and _same(other.last, stored):
                return other
        return None

    def _part(self, features: tuple[int, ...]) -> None:
        """Go separate ways: what was the same until now is stored here too."""
        rows = self.equal.rows_so_far()[: self.added]
        self.waiting = [rows.reshape(self.added, *features)]
        self.equal = None

    def rows_so_far(self) -> np.ndarray:
        """The rows that were added, written or not."""
        written = [self.array[: self.written]] if self.array else []
        return np.concatenate([*written, *self.waiting])

    def _refer(self, features: tuple[int, ...]) -> None:
        """Leave a group in the array's place that names the equal one."""
        attributes = {
            EQUAL_TO: self.equal.array.path,
            "shape": list(features),
            "original_shape": self.original_shape,
        }
        self.group.create_group(self.name, attributes=attributes)

    def _create(self, features: tuple[int, ...]) -> zarr.Array:
        """An array whose chunks hold blocks of the first feature axis."""
        first, *others = features
        block = max(1, FEATURES_PER_CHUNK // max(1, math.prod(others)))
        row_bytes = max(1, math.prod(features) * self.dtype.itemsize)
        rows = min(ROWS_PER_CHUNK, self.rows, max(1, WAITING_BYTES // row_bytes))
        return self.group.create_array(
            self.name,
            shape=(self.rows, *features),
            dtype=self.dtype,
            chunks=(rows, min(block, first), *others),
            attributes={"original_shape": self.original_shape},
        )

    def _flush(self) -> None:
        """Write the rows that wait and fill whole chunks; the last chunk need not be full."""
        if self.array is None:
            self.array = self._create(self.waiting[0].shape[1:])
        step = self.array.chunks[0]
        end = self.rows if self.added == self.rows else self.added // step * step
        ready = end - self.written
        if ready == 0:
            return
        rows = np.concatenate(self.waiting)
        self.array[self.written : end] = rows[:ready]
        self.waiting = [rows[ready:].copy()]  # not a view, which would keep all rows
        self.written = end


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Do rows (b, features...) hold the same numbers, in whatever shape?"""
    return a.size == b.size and len(a) == len(b) and np.array_equal(a.ravel(), b.ravel())


class AnswerWriter:
    """Writes what a run answers, and what it read its answers from.

    Arrays ``scores`` (n, classes) float32, probabilities, and ``answers`` (n, classes) bool,
    predicted label sets; in the group ``readout`` one array a stream, (n, S, D): see
    ``vidrep.objectives.base.Objective.answer``. Nothing is written without answers.

    Args:
        group: where the arrays go.
        rows: n, rows in all.
        dtype: float16 or float32, of the readouts.
        layers: writers of the layers, which are given each batch first.
    """

    def __init__(
        self, group: zarr.Group, rows: int, dtype: str, layers: Sequence[LayerWriter] = ()
    ) -> None:
        self.group = group
        self.rows = rows
        self.dtype = dtype
        self.layers = layers
        self.readouts: dict[str, LayerWriter] = {}
        self.scores: list[np.ndarray] = []
        self.answers: list[np.ndarray] = []

    def add(self, read: dict, answer: tuple) -> None:
        """Append clips.

        Args:
            read: stream -> (b, S, D) tensor.
            answer: scores and label sets, (b, classes), of these clips or of more.
        """
        if not self.readouts:
            readout = self.group.create_group("readout")
            for name in read:
                self.readouts[name] = LayerWriter(readout, name, self.rows, self.dtype, self.layers)
        for name, values in read.items():
            self.readouts[name].add(values.cpu().numpy(), tuple(values.shape[1:]))
        count = len(next(iter(read.values())))
        scores, answers = answer
        self.scores.append(scores[:count].cpu().numpy())
        self.answers.append(answers[:count].cpu().numpy())
        if sum(map(len, self.scores)) == self.rows:
            self._write()

    def _write(self) -> None:
        """Write scores and answers of all clips."""
        scores = np.concatenate(self.scores).astype(np.float32)
        answers = np.concatenate(self.answers).astype(bool)
        self.group.create_array("scores", data=scores, chunks=scores.shape)
        self.group.create_array("answers", data=answers, chunks=answers.shape)


def write_ids(group: zarr.Group, ids: list[str]) -> None:
    """The clip ids of the rows."""
    shape = (len(ids),)
    array = group.create_array("ids", shape=shape, dtype=str, chunks=shape)
    array[:] = np.array(ids, dtype=object)


def write_groups(group: zarr.Group, groups: list[str]) -> None:
    """What the clips of the rows share with others, where they are not independent."""
    shape = (len(groups),)
    array = group.create_array("groups", shape=shape, dtype=str, chunks=shape)
    array[:] = np.array(groups, dtype=object)


def write_labels(group: zarr.Group, labels: np.ndarray) -> None:
    """Which classes the clips of the rows show, (n, classes) uint8 multi-hot."""
    group.create_array("labels", data=np.asarray(labels, np.uint8), chunks=labels.shape)


def read_layer(store: str | Path, layer: str, group: str = "") -> np.ndarray:
    """A layer's activations, (n, features) float32; of the fitting clips in the group "fit"."""
    values = read_array(_group(store, group), layer)
    return values.reshape(len(values), -1).astype(np.float32)


def read_groups(store: str | Path, group: str = "") -> np.ndarray | None:
    """What each clip shares with others, (n,) str; None where clips are independent."""
    opened = _group(store, group)
    return np.array(opened["groups"][:].tolist()) if "groups" in opened else None


def read_labels(store: str | Path, group: str = "") -> np.ndarray:
    """Which classes each clip shows, (n, classes) bool; of the fitting clips in the group "fit"."""
    return _group(store, group)["labels"][:] > 0


def _group(store: str | Path, group: str) -> zarr.Group:
    """A group of a store, "" for its root."""
    root = open_store(store)
    return root[group] if group else root
