"""Activation stores: one sharded Zarr array a layer, written batch by batch."""

import math
from pathlib import Path

import numpy as np
import zarr

ROWS_PER_SHARD = 256
FEATURES_PER_CHUNK = 16384  # a feature block is read without the rest of its shard


class LayerWriter:
    """Writes one layer's rows; whole shards at a time, because a shard cannot grow.

    Args:
        group: where the array goes.
        name: the layer.
        rows: n, rows in all.
        dtype: float16 or float32.
    """

    def __init__(self, group: zarr.Group, name: str, rows: int, dtype: str) -> None:
        self.group = group
        self.name = name
        self.rows = rows
        self.dtype = np.dtype(dtype)
        self.array: zarr.Array | None = None
        self.waiting: list[np.ndarray] = []
        self.written = 0

    def add(self, values: np.ndarray, original_shape: tuple[int, ...]) -> None:
        """Append rows (b, features...) float32; ``original_shape`` is a clip's before pooling.

        Raises:
            ValueError: values that are not finite, or too large for the dtype.
        """
        self._check(values)
        if self.array is None:
            self.array = self._create(values.shape[1:], original_shape)
        self.waiting.append(values.astype(self.dtype))
        if self.held >= self.array.shards[0] or self.written + self.held == self.rows:
            self._flush()

    @property
    def held(self) -> int:
        """Rows that wait to be written."""
        return sum(len(values) for values in self.waiting)

    def _check(self, values: np.ndarray) -> None:
        largest = np.abs(values.reshape(len(values), -1)).max(1, initial=0.0)  # (b,)
        bad = ~(largest <= np.finfo(self.dtype).max)
        if not bad.any():
            return
        row = int(np.argmax(bad))
        clip = self.written + self.held + row
        raise ValueError(
            f"layer {self.name}, clip {clip}: activation of size {largest[row]:g} does not fit"
            f" {self.dtype}; set config key activations.dtype to float32, or look into the run if"
            " it is not finite"
        )

    def _create(self, features: tuple[int, ...], original_shape: tuple[int, ...]) -> zarr.Array:
        """An array whose chunks hold blocks of the first feature axis, and shards all of them."""
        first, *others = features
        block = max(1, FEATURES_PER_CHUNK // max(1, math.prod(others)))
        block = min(block, first)
        blocks = math.ceil(first / block)
        rows = min(ROWS_PER_SHARD, self.rows)
        return self.group.create_array(
            self.name,
            shape=(self.rows, *features),
            dtype=self.dtype,
            chunks=(rows, block, *others),
            shards=(rows, blocks * block, *others),
            attributes={"original_shape": list(original_shape)},
        )

    def _flush(self) -> None:
        """Write what fills whole shards; the last shard need not be full."""
        rows = np.concatenate(self.waiting)
        step = self.array.shards[0]
        final = self.written + len(rows) == self.rows
        ready = len(rows) if final else len(rows) // step * step
        self.array[self.written : self.written + ready] = rows[:ready]
        self.written += ready
        self.waiting = [rows[ready:]] if ready < len(rows) else []


class AnswerWriter:
    """Writes what a run answers, and what it read its answers from.

    Arrays ``scores`` (n, classes) float32, probabilities, and ``answers`` (n, classes) bool,
    predicted label sets; in the group ``readout`` one array a stream, (n, S, D): see
    ``vidrep.objectives.base.Objective.answer``. Nothing is written without answers.

    Args:
        group: where the arrays go.
        rows: n, rows in all.
        dtype: float16 or float32, of the readouts.
    """

    def __init__(self, group: zarr.Group, rows: int, dtype: str) -> None:
        self.group = group
        self.rows = rows
        self.dtype = dtype
        self.readouts: dict[str, LayerWriter] = {}
        self.written = 0

    def add(self, read: dict, answer: tuple) -> None:
        """Append clips.

        Args:
            read: stream -> (b, S, D) tensor.
            answer: scores and label sets, (b, classes), of these clips or of more.
        """
        scores, answers = answer
        if not self.readouts:
            self._create(tuple(read), classes=scores.shape[1])
        for name, values in read.items():
            self.readouts[name].add(values.cpu().numpy(), tuple(values.shape[1:]))
        count = len(next(iter(read.values())))
        place = slice(self.written, self.written + count)
        self.group["scores"][place] = scores[:count].cpu().numpy()
        self.group["answers"][place] = answers[:count].cpu().numpy()
        self.written += count

    def _create(self, names: tuple[str, ...], classes: int) -> None:
        """Make the arrays, empty; ``names`` of streams."""
        readout = self.group.create_group("readout")
        self.readouts = {name: LayerWriter(readout, name, self.rows, self.dtype) for name in names}
        shape = (self.rows, classes)
        self.group.create_array("scores", shape=shape, chunks=shape, dtype=np.float32)
        self.group.create_array("answers", shape=shape, chunks=shape, dtype=bool)


def write_ids(group: zarr.Group, ids: list[str]) -> None:
    """The clip ids of the rows."""
    shape = (len(ids),)
    array = group.create_array("ids", shape=shape, dtype=str, chunks=shape)
    array[:] = np.array(ids, dtype=object)


def write_labels(group: zarr.Group, labels: np.ndarray) -> None:
    """Which classes the clips of the rows show, (n, classes) uint8 multi-hot."""
    group.create_array("labels", data=np.asarray(labels, np.uint8), chunks=labels.shape)


def read_layer(store: str | Path, layer: str, group: str = "") -> np.ndarray:
    """A layer's activations, (n, features) float32; of the fitting clips in the group "fit"."""
    values = np.asarray(_open(store, group)[layer])
    return values.reshape(len(values), -1).astype(np.float32)


def read_labels(store: str | Path, group: str = "") -> np.ndarray:
    """Which classes each clip shows, (n, classes) bool; of the fitting clips in the group "fit"."""
    return _open(store, group)["labels"][:] > 0


def _open(store: str | Path, group: str) -> zarr.Group:
    """A group of a store, "" for its root."""
    root = zarr.open_group(str(store), mode="r")
    return root[group] if group else root
