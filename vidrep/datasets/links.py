"""Files of clips that somebody else made: read, checked, and linked into an experiment.

The user's file is never written to, moved or copied. What an experiment holds is a small file of
its own that points to the user's arrays (HDF5 external links) and adds what the experiment knows:
the data set's name, the split and the names of the clips.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from vidrep.datasets.kind import MOTION_FACTORS, SCRIPT_FACTORS
from vidrep.datasets.store import (
    check_attributes,
    check_clips,
    check_label_shape,
    check_labels,
    check_rows,
    clip_ids,
    member,
    naming,
    open_hdf5,
    read_attributes,
    write_names,
)
from vidrep.files import whole

EXTRAS = ("boxes", "corners", "patches")  # with first axis n, where a file has them
_ABOUT = ("classes", "multi_label")  # attributes that a file of one's own must have


@dataclass(frozen=True)
class Header:
    """What a file of clips tells without reading its pixels.

    Attributes:
        count: n, number of clips.
        frames, height, width, channels: size of a clip.
        classes: their names.
        multi_label: may a clip carry several labels?
        truths: what the file knows exactly; see ``vidrep.datasets.kind.TRUTHS``.
    """

    count: int
    frames: int
    height: int
    width: int
    channels: int
    classes: tuple[str, ...]
    multi_label: bool
    truths: frozenset[str]

    @property
    def alike(self) -> tuple:
        """What all splits of a data set have in common."""
        shape = (self.channels, self.frames, self.height, self.width)
        return (*shape, self.classes, self.multi_label)

    def describe(self) -> str:
        """In words, for error messages."""
        size = f"{self.frames} x {self.height} x {self.width}"
        colour = "grey" if self.channels == 1 else "colour"
        labels = "multi-label" if self.multi_label else "single-label"
        return f"{colour} clips of {size}, {labels} classes {', '.join(self.classes)}"


def read_header(path: str | os.PathLike) -> Header:
    """What a file of clips tells about itself.

    Raises:
        ValueError: it is no such file, or its arrays do not fit each other; names the file.
        OSError: it cannot be read.
    """
    with open_hdf5(path) as file, naming(path):
        attrs = read_attributes(file)
        check_attributes(attrs, _ABOUT)
        clips = member(file, "clips")
        check_clips(clips.shape, clips.dtype)
        classes = tuple(map(str, attrs["classes"]))
        check_label_shape(member(file, "labels").shape, len(clips), classes)
        count, frames, height, width, *colour = clips.shape
        return Header(
            count=count,
            frames=frames,
            height=height,
            width=width,
            channels=colour[0] if colour else 1,
            classes=classes,
            multi_label=bool(attrs["multi_label"]),
            truths=_truths(file),
        )


def _truths(file: h5py.File) -> frozenset[str]:
    """What a file knows exactly about its clips."""
    factors = file.get("factors", {})
    there = {
        "factors": len(factors) > 0,
        "boxes": "boxes" in file,
        "flow": "corners" in file and "patches" in file,
        "phase": all(name in factors for name in SCRIPT_FACTORS),
        "motion": all(name in factors for name in MOTION_FACTORS),
    }
    return frozenset(name for name, known in there.items() if known)


def link_clips(
    source: str | os.PathLike,
    path: str | os.PathLike,
    *,
    dataset: str,
    split: str,
) -> None:
    """Check a file of clips in full and write a file that links to it.

    Args:
        source: the user's file, which is only read.
        path: the .h5 file to write.
        dataset: name of the data set in the experiment.
        split: which split of it this is.

    Raises:
        ValueError: the file is not as the layout wants it; names the file.
        OSError: it cannot be read.
    """
    source = Path(os.path.abspath(source))
    with open_hdf5(source) as file, naming(source):
        attrs = read_attributes(file)
        check_attributes(attrs, _ABOUT)
        clips = member(file, "clips")
        check_clips(clips.shape, clips.dtype)
        labels = member(file, "labels")[:]
        check_labels(labels, len(clips), attrs["classes"], attrs["multi_label"])
        linked = _linked_arrays(file)
        check_rows(linked, len(clips))
        _check_range(clips)
        ids = clip_ids(clips, dataset, split)
    own = {
        "dataset": dataset,
        "split": split,
        "classes": [str(name) for name in attrs["classes"]],
        "multi_label": bool(attrs["multi_label"]),
        "recipe": {"name": dataset, "file": str(source)},
    }
    with whole(path) as beside, h5py.File(beside, "w") as file:
        file.require_group("factors")  # there may be none
        for name in linked:
            file[name] = h5py.ExternalLink(str(source), f"/{name}")
        file.create_dataset("labels", data=labels.astype(np.uint8))
        write_names(file, ids, {**attrs, **own})


def _linked_arrays(file: h5py.File) -> dict[str, h5py.Dataset]:
    """The arrays of a file that an experiment may want, by name."""
    names = ["clips"]
    names += [name for name in EXTRAS if name in file]
    names += [f"factors/{name}" for name in file.get("factors", ())]
    return {name: file[name] for name in names}


def _check_range(clips: h5py.Dataset) -> None:
    """Raise ValueError where clips go from 0 to 1: pixels that were forgotten to be scaled."""
    brightest = max(int(clip.max()) for clip in clips)
    if brightest == 1:
        raise ValueError("clips go from 0 to 1; pixels go from 0 to 255")
