"""Flow in Zarr: a group with one array ``flow`` (n, T-1, 2, H, W) float16, in a few large files."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import zarr

from vidrep.files import whole
from vidrep.flow import SHARD

# Clips read together: few enough for random batches, enough that the codec is not called too often.
CHUNK = 16
CHUNK_BYTES = 2**19  # fewer of large clips, whose training batches are read one by one


def blocks(count: int) -> Iterator[slice]:
    """Slices that cut ``count`` clips into the pieces in which flow is written: one file each."""
    for i in range(0, count, SHARD):
        yield slice(i, min(i + SHARD, count))


def write_flow(
    path: str | os.PathLike,
    fields: Iterable[np.ndarray],
    shape: tuple[int, ...],
    attrs: dict,
) -> None:
    """Write the flow of one split, whole or not at all.

    Args:
        path: the .zarr folder.
        fields: flow of the clips of each of ``blocks(n)`` in turn, (block, T-1, 2, H, W); made when
            needed.
        shape: (n, T-1, 2, H, W).
        attrs: what else the store tells about itself: ``dataset``, ``split``, ``method``, ...

    Raises:
        ValueError: a field has the wrong shape or holds something that is not finite in float16, or
            fields are missing.
    """
    count, *rest = shape
    with whole(path) as beside:
        group = zarr.create_group(
            beside, attributes={**attrs, "unit": "px", "channels": ["x", "y"]}
        )
        flow = group.create_array(
            "flow",
            shape=shape,
            dtype="float16",
            chunks=(_chunk(rest), *rest),
            shards=(_shard(count), *rest),
            dimension_names=("clip", "frame", "channel", "y", "x"),
        )
        for block, field in zip(blocks(count), fields, strict=True):
            which = f"{path}: flow of clips {block.start}..{block.stop - 1}"
            if field.shape != (block.stop - block.start, *rest):
                raise ValueError(f"{which} has shape {field.shape}")
            field = field.astype(np.float16, copy=False)
            if not np.isfinite(field).all():
                raise ValueError(f"{which} is not finite in float16")
            flow[block] = field


@dataclass(frozen=True, eq=False)
class FlowFile:
    """One store, open for reading.

    Attributes:
        flow: Zarr array (n, T-1, 2, H, W) float16; slices are read when asked for.
        attrs: ``dataset``, ``split``, ``method`` and what else was written.
    """

    flow: zarr.Array
    attrs: dict


def open_flow(path: str | os.PathLike) -> FlowFile:
    """Open a store written by ``write_flow``.

    Raises:
        ValueError: there is no such store at ``path``.
    """
    try:
        group = zarr.open_group(path, mode="r")
        return FlowFile(group["flow"], dict(group.attrs))
    except (KeyError, FileNotFoundError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a store of flow ({error})") from error


def _chunk(rest: Sequence[int]) -> int:
    """Clips that are packed together: a power of two, up to ``CHUNK``."""
    fit = CHUNK_BYTES // (2 * math.prod(rest))
    return min(CHUNK, 1 << max(0, fit.bit_length() - 1))


def _shard(count: int) -> int:
    """Clips per file: ``SHARD``, or less for small splits."""
    return min(SHARD, -(-count // CHUNK) * CHUNK)
