"""Activation stores: one sharded Zarr array a layer, written batch by batch."""

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
        held = sum(map(len, self.waiting))
        if held >= self.array.shards[0] or self.written + held == self.rows:
            self._flush()

    def _check(self, values: np.ndarray) -> None:
        flat = np.abs(values.reshape(len(values), -1)).max(1, initial=0.0)
        bad = ~(flat <= np.finfo(self.dtype).max)
        if bad.any():
            clip = self.written + sum(map(len, self.waiting)) + int(np.argmax(bad))
            raise ValueError(
                f"layer {self.name}, clip {clip}: activation of size {flat[np.argmax(bad)]:g} does"
                f" not fit {self.dtype}; set config key activations.dtype to float32, or look into"
                " the run if it is not finite"
            )

    def _create(self, features: tuple[int, ...], original_shape: tuple[int, ...]) -> zarr.Array:
        first = max(1, FEATURES_PER_CHUNK // max(1, int(np.prod(features[1:]))))
        rows = min(ROWS_PER_SHARD, self.rows)
        chunks = (rows, min(first, features[0]), *features[1:])
        shards = (rows, -(-features[0] // chunks[1]) * chunks[1], *features[1:])
        array = self.group.create_array(
            self.name,
            shape=(self.rows, *features),
            dtype=self.dtype,
            chunks=chunks,
            shards=shards,
            attributes={"original_shape": list(original_shape)},
        )
        return array

    def _flush(self) -> None:
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
        """Append clips: tensors (b, S, D) by stream, and (scores, label sets) of at least as many
        clips.
        """
        if not self.readouts:
            place = self.group.create_group("readout")
            self.readouts = {name: LayerWriter(place, name, self.rows, self.dtype) for name in read}
            for name, values, dtype in zip(
                ("scores", "answers"), answer, (np.float32, bool), strict=True
            ):
                shape = (self.rows, values.shape[1])
                self.group.create_array(name, shape=shape, chunks=shape, dtype=dtype)
        for name, values in read.items():
            self.readouts[name].add(values.cpu().numpy(), tuple(values.shape[1:]))
        count = len(next(iter(read.values())))
        for name, values in zip(("scores", "answers"), answer, strict=True):
            self.group[name][self.written : self.written + count] = values[:count].cpu().numpy()
        self.written += count


def write_ids(group: zarr.Group, ids: list[str]) -> None:
    """The clip ids of the rows."""
    array = group.create_array("ids", shape=(len(ids),), dtype=str, chunks=(len(ids),))
    array[:] = np.array(ids, dtype=object)


def write_labels(group: zarr.Group, labels: np.ndarray) -> None:
    """Which classes the clips of the rows show, (n, classes) uint8 multi-hot."""
    group.create_array("labels", data=np.asarray(labels, np.uint8), chunks=labels.shape)


def read_layer(store: str | Path, layer: str, group: str = "") -> np.ndarray:
    """A layer's activations, (n, features) float32; ``group`` "fit" gives those of the fitting
    clips.
    """
    root = zarr.open_group(str(store), mode="r")
    values = np.asarray((root[group] if group else root)[layer])
    return values.reshape(len(values), -1).astype(np.float32)


def read_labels(store: str | Path, group: str = "") -> np.ndarray:
    """Which classes each row's clip shows, (n, classes) bool; ``group`` "fit" gives those of the
    fitting clips.
    """
    root = zarr.open_group(str(store), mode="r")
    return (root[group] if group else root)["labels"][:] > 0
