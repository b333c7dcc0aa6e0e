"""Clips in HDF5: one file per split of a data set.

Layout: ``clips`` (n, T, H, W) or (n, T, H, W, 3) uint8, one chunk per clip; ``labels`` (n, classes)
of 0 and 1; ``ids`` (n,) names of the clips; ``factors/<name>`` with first axis n; further arrays
with first axis n where the data set has them (``boxes``, ``corners``, ``patches``); attributes tell
where it all comes from.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from vidrep.files import whole

GZIP_LEVEL = 1  # clips are mostly black: higher levels cost time and save little
NEEDED_ATTRIBUTES = ("dataset", "split", "classes", "multi_label")
_OWN_ARRAYS = ("clips", "labels", "ids", "factors")
_DIGEST_LENGTH = 8  # hexadecimal digits of a clip's digest in its id


@dataclass(frozen=True, eq=False)
class ClipFile:
    """One split of a data set, open for reading.

    Attributes:
        clips: HDF5 data set (n, T, H, W[, 3]) uint8; slices are read when asked for.
        labels: (n, classes) uint8, 0 or 1.
        factors: name to array with first axis n.
        extras: further data sets with first axis n (``boxes``, ``corners``, ``patches``), read when
            sliced.
        attrs: attributes; ``recipe`` is a dict and ``classes`` a list of names.
        ids: n names such as ``digits_only/test/000012-0f3a9c1b``, see ``clip_ids``.
    """

    clips: h5py.Dataset
    labels: np.ndarray
    factors: dict[str, np.ndarray]
    extras: dict[str, h5py.Dataset]
    attrs: dict
    ids: list[str] = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)


def clip_ids(clips: np.ndarray | h5py.Dataset, dataset: str, split: str) -> list[str]:
    """Names of clips: data set, split, place in it, and a digest of the clip's pixels.

    Two clips of one name are therefore the same clip, also where one was made with another seed or
    by another version of a data set.
    """
    digests = [hashlib.sha256(np.ascontiguousarray(clip)).hexdigest() for clip in clips]
    return [f"{dataset}/{split}/{i:06d}-{d[:_DIGEST_LENGTH]}" for i, d in enumerate(digests)]


def check_clips(shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise ValueError unless an array has the shape and type of clips."""
    colour = len(shape) == 5 and shape[-1] == 3
    if (len(shape) != 4 and not colour) or 0 in shape:
        raise ValueError(
            f"clips have shape {tuple(shape)}, expected (clips, frames, height, width) or, in"
            " colour, (clips, frames, height, width, 3)"
        )
    if dtype != np.uint8:
        raise ValueError(f"clips must be uint8 from 0 to 255, got {dtype}")
    if shape[1] < 2:
        raise ValueError(f"clips have {shape[1]} frame; a clip needs at least 2")


def check_label_shape(
    shape: tuple[int, ...], clips: int, classes: list[str] | tuple[str, ...]
) -> None:
    """Raise ValueError unless labels have a row for each clip and a column for each class."""
    if shape != (clips, len(classes)):
        raise ValueError(
            f"labels have shape {shape}, expected {(clips, len(classes))}: a row for each clip and"
            f" a column for each of the classes {', '.join(map(str, classes))}"
        )


def check_labels(
    labels: np.ndarray,
    clips: int,
    classes: list[str] | tuple[str, ...],
    multi_label: bool,
) -> None:
    """Raise ValueError unless labels say of each clip which of the classes it shows.

    Args:
        labels: (n, classes), 0 or 1.
        clips: n, number of clips.
        classes: their names, one a column.
        multi_label: may a clip show several classes?
    """
    check_label_shape(labels.shape, clips, classes)
    if labels.dtype.kind not in "uib" or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"labels must be 0 or 1 in whole numbers, got {labels.dtype} from {labels.min():g} to"
            f" {labels.max():g}"
        )
    shown = np.asarray(labels, np.int64).sum(1)
    if not shown.all():
        raise ValueError(f"labels of clip {int(np.argmin(shown))} are all 0; each needs a class")
    if not multi_label and shown.max() > 1:
        first = int(np.argmax(shown > 1))
        raise ValueError(
            f"labels of clip {first} name {shown[first]} classes, but multi_label is False: exactly"
            " one is expected"
        )


def check_rows(arrays: dict, clips: int) -> None:
    """Raise ValueError unless every array has one row for each clip."""
    for name, value in arrays.items():
        rows = value.shape[0] if value.ndim else 0
        if rows != clips:
            raise ValueError(f"{name} has {rows} rows for {clips} clips")


def write_clips(path: str | os.PathLike, content: dict, attrs: dict) -> None:
    """Write one split, whole or not at all.

    Args:
        path: the .h5 file.
        content: arrays with first axis n: ``clips`` and ``labels``, optional further ones, and
            ``factors``, a dict of arrays.
        attrs: ``dataset``, ``split``, ``classes`` (names), ``multi_label`` (may a clip carry
            several labels?), and whatever else there is to tell: ``seed``, ``recipe``, ...

    Raises:
        ValueError: clips, labels or other arrays are not as the layout wants them, or an attribute
            is missing; the message names the file.
    """
    arrays = {name: value for name, value in content.items() if name != "factors"}
    arrays |= {f"factors/{name}": value for name, value in content["factors"].items()}
    clips = arrays["clips"]
    with naming(path):
        check_attributes(attrs)
        check_clips(clips.shape, clips.dtype)
        check_rows(arrays, len(clips))
        check_labels(arrays["labels"], len(clips), attrs["classes"], attrs["multi_label"])
    arrays["labels"] = arrays["labels"].astype(np.uint8, copy=False)
    with whole(path) as beside, h5py.File(beside, "w") as file:
        for name, value in arrays.items():
            chunks = (1, *value.shape[1:]) if name == "clips" else True
            file.create_dataset(
                name, data=value, chunks=chunks, compression="gzip", compression_opts=GZIP_LEVEL
            )
        file.require_group("factors")  # there may be none
        write_names(file, clip_ids(clips, attrs["dataset"], attrs["split"]), attrs)


def write_names(file: h5py.File, ids: list[str], attrs: dict) -> None:
    """Write the names of the clips, and attributes: those that HDF5 does not know as JSON."""
    write_text(file, "ids", ids)
    for name, value in attrs.items():
        file.attrs[name] = json.dumps(value) if isinstance(value, (dict, list, tuple)) else value


def write_text(file: h5py.File, name: str, values: list[str]) -> None:
    """Write an array of texts."""
    data = np.array([value.encode() for value in values], "S")
    if not all(value.isascii() for value in values):
        # only then: plain ASCII is the type that every reader of HDF5 knows
        data = data.astype(h5py.string_dtype("utf-8", data.dtype.itemsize))
    file.create_dataset(name, data=data, compression="gzip", compression_opts=GZIP_LEVEL)


@contextmanager
def open_clips(path: str | os.PathLike) -> Iterator[ClipFile]:
    """Open a file written by ``write_clips``, or one of the same layout.

    Raises:
        ValueError: the file is no HDF5 file, or lacks something, or holds something that is not as
            the layout wants it; the message names the file.
        OSError: the file cannot be read.
    """
    with open_hdf5(path) as file:
        with naming(path):
            attrs = read_attributes(file)
            check_attributes(attrs)
            clips = member(file, "clips")
            check_clips(clips.shape, clips.dtype)
            labels = member(file, "labels")[:]
            check_labels(labels, len(clips), attrs["classes"], attrs["multi_label"])
            factors = {name: value[:] for name, value in member(file, "factors").items()}
            check_rows(factors, len(clips))
            extras = {name: file[name] for name in file if name not in _OWN_ARRAYS}
        yield ClipFile(
            clips=clips,
            labels=labels.astype(np.uint8, copy=False),
            factors=factors,
            extras=extras,
            attrs=attrs,
            ids=_read_ids(file, attrs),
        )


@contextmanager
def open_hdf5(path: str | os.PathLike) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, or say in one line why that is impossible."""
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such file") from error
    except OSError as error:
        raise ValueError(f"{path}: not a readable HDF5 file ({error})") from error
    with file:
        yield file


def member(file: h5py.File, name: str) -> h5py.Dataset | h5py.Group:
    """An array or group that a file of clips must have.

    Raises:
        ValueError: there is none, or it is a link to a file that is gone.
    """
    if name not in file:
        raise ValueError(f"not a file of clips: it has no {name}")
    try:
        return file[name]
    except KeyError:
        link = file.get(name, getlink=True)
        raise ValueError(f"its {name} are those of {link.filename}, which is gone") from None


def read_attributes(file: h5py.File) -> dict:
    """The attributes of a file as plain values."""
    return {name: _attribute(value) for name, value in file.attrs.items()}


def _attribute(value):
    """An attribute as it was before HDF5: JSON decoded, lists and numbers of Python."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    if isinstance(value, np.ndarray):
        return [item.decode() if isinstance(item, bytes) else item for item in value.tolist()]
    return value.item() if isinstance(value, np.generic) else value


def check_attributes(attrs: dict, needed: tuple[str, ...] = NEEDED_ATTRIBUTES) -> None:
    """Raise ValueError unless all needed attributes are there and of the right type."""
    if missing := [name for name in needed if name not in attrs]:
        raise ValueError(f"not a file of clips: it has no attribute {', '.join(missing)}")
    classes = attrs["classes"]
    if not isinstance(classes, (list, tuple)) or len(set(classes)) < max(1, len(classes)):
        raise ValueError(f"attribute classes is {classes!r}; give a list of different names")
    if attrs["multi_label"] not in (True, False):
        raise ValueError(f"attribute multi_label is {attrs['multi_label']!r}; give true or false")


def _read_ids(file: h5py.File, attrs: dict) -> list[str]:
    """The names of the clips; made anew for a file that does not hold them."""
    if "ids" in file:
        return [name.decode() for name in file["ids"][:]]
    return clip_ids(file["clips"], attrs["dataset"], attrs["split"])


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Put the name of a file before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def clip_counts(paths: Iterable[str | Path]) -> dict[str, int]:
    """Number of clips in each data set file: data set to n; windows of one video count as one."""
    counts = {}
    for path in map(Path, paths):
        with h5py.File(path, "r") as file:
            windows = file["videos"][:] if "videos" in file else range(len(file["labels"]))
            counts[path.parent.name] = len(np.unique(windows))
    return counts


def group_counts(paths: Iterable[str | Path]) -> dict[str, int]:
    """Number of independent groups in each data set file whose clips depend on each other."""
    counts = {}
    for path in map(Path, paths):
        with h5py.File(path, "r") as file:
            if "groups" in file:
                counts[path.parent.name] = len(np.unique(file["groups"][:]))
    return counts
