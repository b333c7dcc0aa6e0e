"""Where digit images come from, at which size, and which split each of them belongs to.

Kinds of source:

* ``sklearn``: 1,797 real handwritten 8 x 8 digits that come with scikit-learn (UCI optical digits),
  no download;
* ``mnist``: the four IDX archives of MNIST in a folder (also of any set with MNIST's file names);
* ``idx``: one pair of IDX files by path.

Images that are not as large as the wanted patch are resampled with OpenCV: area averaging down,
bilinear up.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np

from vidrep.digits import KINDS
from vidrep.digits.idx import read_pair
from vidrep.files import whole
from vidrep.random_streams import stream
from vidrep.splits import SPLITS

# of sources without a test set of their own; the rest is the test split
TRAIN_SHARE = 0.7
VALIDATION_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class DigitSource:
    """Labelled digit images and their splits.

    Attributes:
        name: what the source is called in files and figures.
        images: (m, patch, patch) uint8.
        labels: (m,) uint8 in 0..9.
        splits: split name to sorted indices into ``images``; splits are disjoint.
        sha256: of the source's images and labels before resampling.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    splits: dict[str, np.ndarray]
    sha256: str

    @property
    def patch(self) -> int:
        """Side of the images in pixels."""
        return self.images.shape[1]

    def split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of one split.

        Raises:
            ValueError: there is no such split.
        """
        if name not in self.splits:
            raise ValueError(
                f"no split {name!r} in digit source {self.name}: it has {', '.join(self.splits)}"
            )
        chosen = self.splits[name]
        return self.images[chosen], self.labels[chosen]


def load_digits(source: dict, *, patch: int | None = None, seed: int) -> DigitSource:
    """Load a digit source, resample it to the patch size and split it.

    Args:
        source: ``{"kind": "sklearn"}``, ``{"kind": "mnist", "folder": ...}`` or
            ``{"kind": "idx", "images": ..., "labels": ...}``, the last with an optional ``"name"``.
        patch: side of the images in pixels; None keeps the source's own (8 for sklearn, 28 for
            MNIST).
        seed: experiment seed; the split is drawn from the stream ``(seed, "digits", "split")``.

    Returns:
        The source. sklearn and IDX pairs are split 70/10/20 within each class; in MNIST the test
        split is the t10k files and the validation split a random sixth (10,000) of the training
        files.

    Raises:
        ValueError: unknown kind or keys, or a file that is not what it should be.
        OSError: a file cannot be read.
    """
    kind = source.get("kind")
    if kind not in KINDS:
        raise ValueError(f"unknown kind of digit source {kind!r}: choose one of {', '.join(KINDS)}")
    required, optional = map(set, KINDS[kind])
    given = set(source) - {"kind"}
    if missing := required - given:
        raise ValueError(f"digit source {kind} needs {', '.join(sorted(missing))}")
    if unknown := given - required - optional:
        raise ValueError(f"digit source {kind} does not know {', '.join(sorted(unknown))}")
    files = {key: value for key, value in source.items() if key not in ("kind", "name")}
    images, labels, splits = _LOADERS[kind](stream(seed, "digits", "split"), **files)
    return DigitSource(
        name=source.get("name", kind),
        images=resample(images, patch or images.shape[1]),
        labels=labels,
        splits={name: np.sort(indices) for name, indices in zip(SPLITS, splits, strict=True)},
        sha256=_digest(images, labels),
    )


def _digest(images: np.ndarray, labels: np.ndarray) -> str:
    """SHA-256 of a source's images and labels as they are before resampling."""
    parts = (hashlib.sha256(np.ascontiguousarray(part)).hexdigest() for part in (images, labels))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def resample(images: np.ndarray, patch: int) -> np.ndarray:
    """Resample (m, s, s) uint8 images to (m, patch, patch).

    By area averaging when they shrink, bilinearly when they grow.
    """
    if images.shape[1] == patch:
        return images
    cv2.setNumThreads(1)
    method = cv2.INTER_AREA if patch < images.shape[1] else cv2.INTER_LINEAR
    return np.stack([cv2.resize(image, (patch, patch), interpolation=method) for image in images])


def write_digits(digits: DigitSource, path: str | os.PathLike) -> None:
    """Write a source to one .npz file, whole or not at all."""
    splits = {f"split_{name}": indices for name, indices in digits.splits.items()}
    with whole(path) as beside, open(beside, "wb") as file:
        np.savez_compressed(
            file,
            images=digits.images,
            labels=digits.labels,
            name=digits.name,
            sha256=digits.sha256,
            **splits,
        )


def read_digits(path: str | os.PathLike) -> DigitSource:
    """Read what ``write_digits`` wrote.

    Raises:
        ValueError: the file is something else.
        OSError: the file cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            splits = {name: file[f"split_{name}"] for name in SPLITS}
            return DigitSource(
                str(file["name"]), file["images"], file["labels"], splits, str(file["sha256"])
            )
    except (KeyError, TypeError, EOFError, ValueError, BadZipFile) as error:
        raise ValueError(
            f"{path}: not a file of split digits, as write_digits writes it"
        ) from error


def _sklearn(rng: np.random.Generator) -> tuple:
    from sklearn.datasets import load_digits as load_sklearn  # slow to import, and only needed here

    bunch = load_sklearn()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # intensities are 0..16
    labels = bunch.target.astype(np.uint8)
    return images, labels, _stratified(labels, rng)


def _mnist(rng: np.random.Generator, folder: str) -> tuple:
    train_images, train_labels = _mnist_pair(folder, "train")
    test_images, test_labels = _mnist_pair(folder, "t10k")
    if train_images.shape[1:] != test_images.shape[1:]:
        raise ValueError(
            f"{folder}: train images are {train_images.shape[1:]}, t10k images"
            f" {test_images.shape[1:]} pixels"
        )
    order = rng.permutation(len(train_labels))
    validation = len(train_labels) // 6
    test = len(train_labels) + np.arange(len(test_labels))
    images = np.concatenate([train_images, test_images])
    labels = np.concatenate([train_labels, test_labels])
    return images, labels, (order[validation:], order[:validation], test)


def _mnist_pair(folder: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of one part of MNIST."""
    images = Path(folder, f"{part}-images-idx3-ubyte.gz")
    labels = Path(folder, f"{part}-labels-idx1-ubyte.gz")
    return read_pair(images, labels)


def _idx(rng: np.random.Generator, images: str, labels: str) -> tuple:
    pixels, classes = read_pair(images, labels)
    return pixels, classes, _stratified(classes, rng)


_LOADERS = {"sklearn": _sklearn, "mnist": _mnist, "idx": _idx}


def _stratified(
    labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train, validation and test indices with the same shares in every class."""
    shares = np.array([TRAIN_SHARE, TRAIN_SHARE + VALIDATION_SHARE])
    parts = []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        ends = np.rint(shares * len(members)).astype(int)
        parts.append(np.split(members, ends))
    train, validation, test = (np.concatenate(part) for part in zip(*parts, strict=True))
    return train, validation, test
