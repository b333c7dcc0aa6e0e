"""Clips in HDF5: one file per split of a data set.

Layout: ``clips`` (n, T, H, W) or (n, T, H, W, 3) uint8, one chunk per clip; ``labels`` (n, classes)
uint8; ``factors/<name>`` with first axis n; further arrays with first axis n where the data set has
them (``boxes``, ``corners``, ``patches``); attributes tell where it all comes from.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import h5py
import numpy as np

from vidrep.files import whole

GZIP_LEVEL = 1  # clips are mostly black: higher levels cost time and save little


@dataclass(frozen=True, eq=False)
class ClipFile:
    """One split of a data set, open for reading.

    Attributes:
        clips: HDF5 data set (n, T, H, W[, 3]) uint8; slices are read when asked for.
        labels: (n, classes) uint8.
        factors: name to array with first axis n.
        extras: further data sets with first axis n (``boxes``, ``corners``, ``patches``), read when
            sliced.
        attrs: attributes; ``recipe`` is a dict and ``classes`` a list of names.
        ids: n names such as ``test/000012``.
    """

    clips: h5py.Dataset
    labels: np.ndarray
    factors: dict[str, np.ndarray]
    extras: dict[str, h5py.Dataset]
    attrs: dict
    ids: list[str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)


def write_clips(path: str | os.PathLike, content: dict, attrs: dict) -> None:
    """Write one split, whole or not at all.

    Args:
        path: the .h5 file.
        content: arrays with first axis n: ``clips`` and ``labels``, optional further ones, and
            ``factors``, a dict of arrays.
        attrs: ``dataset``, ``split``, ``seed``, ``recipe`` (dict), ``classes`` (names),
            ``multi_label`` (may a clip carry several labels?) and whatever else there is to tell.

    Raises:
        ValueError: clips are not uint8, or an array has another first axis than the clips.
    """
    arrays = {name: value for name, value in content.items() if name != "factors"}
    arrays |= {f"factors/{name}": value for name, value in content["factors"].items()}
    clips = arrays["clips"]
    if clips.dtype != np.uint8:
        raise ValueError(f"clips must be uint8, got {clips.dtype}")
    for name, value in arrays.items():
        if len(value) != len(clips):
            raise ValueError(f"{name} has {len(value)} rows for {len(clips)} clips")
    with whole(path) as beside, h5py.File(beside, "w") as file:
        for name, value in arrays.items():
            chunks = (1, *value.shape[1:]) if name == "clips" else True
            file.create_dataset(
                name, data=value, chunks=chunks, compression="gzip", compression_opts=GZIP_LEVEL
            )
        file.require_group("factors")  # there may be none
        for name, value in attrs.items():
            file.attrs[name] = (
                json.dumps(value) if isinstance(value, (dict, list, tuple)) else value
            )


@contextmanager
def open_clips(path: str | os.PathLike) -> Iterator[ClipFile]:
    """Open a file written by ``write_clips``.

    Raises:
        ValueError: the file is no HDF5 file or lacks something; the message names it.
        OSError: the file cannot be read.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such file") from error
    except OSError as error:
        raise ValueError(f"{path}: not a readable HDF5 file ({error})") from error
    with file:
        if missing := [name for name in ("clips", "labels", "factors") if name not in file]:
            raise ValueError(f"{path}: not a file of clips: it has no {', '.join(missing)}")
        attrs = {name: _attribute(value) for name, value in file.attrs.items()}
        split = attrs.get("split", "clip")
        yield ClipFile(
            clips=file["clips"],
            labels=file["labels"][:],
            factors={name: value[:] for name, value in file["factors"].items()},
            extras={
                name: value
                for name, value in file.items()
                if name not in ("clips", "labels", "factors")
            },
            attrs=attrs,
            ids=[f"{split}/{i:06d}" for i in range(len(file["clips"]))],
        )


def _attribute(value):
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    return value.item() if isinstance(value, np.generic) else value
