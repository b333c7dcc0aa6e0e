"""Arrays in files, read window by window, so that they need not fit into memory.

What lies in a file byte for byte (.npy, members of .npz, .pt, .safetensors) is a ``RawArray``. The
arrays of HDF5 and Zarr are sliced as they are; where their chunks hold whole rows, a block of
features would touch all of them, so they are first written once to a temporary file.
"""

from __future__ import annotations

import itertools
import math
import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vidrep.similarity.centring import BLOCK_BYTES

TOUCHED_BYTES = 16 * 2**20  # of a mapped file at a time, before its pages are let go


class RawArray:
    """An array whose numbers lie in a file as they are, in any order of axes.

    The file is mapped, and the pages of what was read are let go after every ``TOUCHED_BYTES``.

    Args:
        path: the file.
        dtype: of the stored numbers.
        shape: of the array.
        offset: bytes in the file before its first number.
        strides: bytes from one entry to the next along each axis; None: C order.
        bfloat16: the stored uint16 are the upper halves of float32.

    Attributes:
        chunks: None, as of contiguous HDF5 arrays: any window costs what it holds.

    Raises:
        ValueError: the file is shorter than the array.
    """

    chunks = None

    def __init__(
        self,
        path: str | os.PathLike,
        dtype: np.dtype,
        shape: Sequence[int],
        *,
        offset: int = 0,
        strides: Sequence[int] | None = None,
        bfloat16: bool = False,
    ) -> None:
        dtype = np.dtype(dtype)
        shape = tuple(int(size) for size in shape)
        if strides is None:
            strides = [dtype.itemsize * math.prod(shape[i + 1 :]) for i in range(len(shape))]
        size = Path(path).stat().st_size
        last = sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        end = offset + last + dtype.itemsize if 0 not in shape else offset
        if end > size:
            raise ValueError(f"cut short: it has {size} bytes where {end} are announced")
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self._stored = np.ndarray(shape, dtype, self._map, offset, tuple(strides))
        self._bfloat16 = bfloat16
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = np.dtype(np.float32) if bfloat16 else dtype

    def __getitem__(self, window) -> np.ndarray:
        """A copy of a window: a slice or ascending numbers, for the first axes or all."""
        window = window if isinstance(window, tuple) else (window,)
        indices = []
        for axis, size in enumerate(self.shape):
            index = window[axis] if axis < len(window) else slice(None)
            indices.append(range(size)[index] if isinstance(index, slice) else np.asarray(index))
        values = np.empty([len(index) for index in indices], self._stored.dtype)
        if values.size:
            self._copy(indices, values)
        if self._bfloat16:
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values

    def _copy(self, indices: list, values: np.ndarray) -> None:
        """Fill ``values``, piece by piece along the axis whose entries lie farthest apart."""
        if not indices:
            values[...] = self._stored
            return
        strides = self._stored.strides
        slowest = int(np.argmax(strides))
        step = max(1, TOUCHED_BYTES // max(strides[slowest], 1))
        for start in range(0, len(indices[slowest]), step):
            place = [slice(None)] * self.ndim
            place[slowest] = slice(start, start + step)
            source = [_as_slice(index) for index in indices]
            source[slowest] = _as_slice(indices[slowest][start : start + step])
            values[tuple(place)] = self._stored[tuple(source)]
            self._release()

    def _release(self) -> None:
        """Give back the memory of the pages that were read."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _as_slice(index: range | np.ndarray) -> slice | np.ndarray:
    """A range as slice; numbers of rows stay what they are."""
    return slice(index.start, index.stop, index.step) if isinstance(index, range) else index


def spooled(array) -> RawArray:
    """A copy of an HDF5 or Zarr array in a temporary file, made chunk by chunk."""
    dtype = np.dtype(array.dtype)
    spans = []
    for size, step in zip(array.shape, array.chunks, strict=True):
        spans.append([slice(start, start + step) for start in range(0, size, step)])
    with _scratch_file() as path:
        _reserve(path, math.prod(array.shape) * dtype.itemsize)
        copy = np.memmap(path, dtype, "r+", shape=array.shape)
        for window in itertools.product(*spans):
            copy[window] = array[window]
            if hasattr(mmap, "MADV_DONTNEED"):
                copy._mmap.madvise(mmap.MADV_DONTNEED)
        del copy
        return RawArray(path, dtype, array.shape)


def unpacked(stream, dtype: np.dtype, shape: Sequence[int], strides: Sequence[int]) -> RawArray:
    """A copy of an array's bytes, which a compressed file yields one after another.

    Raises:
        ValueError: the stream ends before the array does.
    """
    with _scratch_file() as path:
        with open(path, "wb") as copy:
            while piece := stream.read(2**20):
                copy.write(piece)
        return RawArray(path, dtype, shape, strides=strides)


@contextmanager
def _scratch_file() -> Iterator[str]:
    """A temporary file, which loses its name at the end of the block: whoever maps it keeps it."""
    handle, path = tempfile.mkstemp(prefix="vidrep-")
    os.close(handle)
    try:
        yield path
    finally:
        os.unlink(path)


def _reserve(path: str, size: int) -> None:
    """Make a file so large; a full disk is an OSError here, later it would end the process."""
    with open(path, "r+b") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)


def readable_in_blocks(array):
    """The array, or a copy of it where a block of its features would be too large to read."""
    chunks = getattr(array, "chunks", None)
    if chunks is None or _most_chunks(array)[1] <= BLOCK_BYTES:
        return array
    return spooled(array)


def _most_chunks(array) -> tuple[int, int]:
    """The feature axis that has most chunks, and the float64 bytes of all rows of one of them."""
    chunks = getattr(array, "chunks", None) or (1,) * array.ndim

    def count(axis: int) -> tuple[int, int]:
        return math.ceil(array.shape[axis] / chunks[axis]), array.shape[axis]

    axis = max(range(1, array.ndim), key=count)
    entry_bytes = 8 * math.prod(array.shape) // array.shape[axis]
    return axis, entry_bytes * min(chunks[axis], array.shape[axis])


def read_blocks(array, block_bytes: int = BLOCK_BYTES) -> Iterator[np.ndarray]:
    """(n, f) blocks of an array, in whole chunks along the feature axis that has most of them.

    Args:
        array: (n, features, ...) of NumPy, HDF5 or Zarr, or a ``RawArray``.
        block_bytes: float64 size of a block, at most, where one chunk is no larger.
    """
    axis = _most_chunks(array)[0]
    chunk = (getattr(array, "chunks", None) or (1,) * array.ndim)[axis]
    entry_bytes = 8 * math.prod(array.shape) // array.shape[axis]
    step = max(block_bytes // entry_bytes // chunk, 1) * chunk
    for start in range(0, array.shape[axis], step):
        window = [slice(None)] * array.ndim
        window[axis] = slice(start, start + step)
        yield np.asarray(array[tuple(window)]).reshape(array.shape[0], -1)
