"""Reader of IDX files, the format of MNIST and its successors.

They hold a magic number, the sizes, then the bytes. The reader is strict on purpose: a file that is
cut short or holds something else must not become a data set.
"""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

UBYTE = 8  # type code of unsigned bytes, the third byte of the magic number


def read_idx(path: str | os.PathLike, axes: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes, plain or gzip-compressed.

    Args:
        path: the file.
        axes: number of axes that are expected: 1 for labels, 3 for images.

    Returns:
        uint8 array with ``axes`` axes.

    Raises:
        ValueError: the file is not what it should be; the message names it.
    """
    content = _content(Path(path))
    header = 4 + 4 * axes
    if len(content) < header:
        raise ValueError(
            f"{path}: truncated IDX file: {len(content)} bytes, the header alone needs {header}"
        )
    magic = int.from_bytes(content[:4], "big")
    expected = UBYTE << 8 | axes
    if magic != expected:
        raise ValueError(
            f"{path}: not an IDX file of bytes with {axes} axes: magic {magic:#010x}, expected"
            f" {expected:#010x}"
        )
    shape = tuple(int(side) for side in np.frombuffer(content, ">u4", axes, 4))
    needed = math.prod(shape)
    found = len(content) - header
    if found != needed:
        problem = "truncated" if found < needed else "too long"
        raise ValueError(
            f"{path}: {problem} IDX file: sizes {shape} need {needed} bytes after the header, found"
            f" {found}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_pair(
    images: str | os.PathLike, labels: str | os.PathLike
) -> tuple[np.ndarray, np.ndarray]:
    """Read images (m, side, side) uint8 and their labels (m,) uint8.

    Raises:
        ValueError: counts differ, images are not square, or a label is not a digit.
    """
    pixels = read_idx(images, 3)
    classes = read_idx(labels, 1)
    if len(pixels) != len(classes):
        raise ValueError(f"{labels}: {len(classes)} labels for {len(pixels)} images in {images}")
    if pixels.shape[1] != pixels.shape[2]:
        raise ValueError(
            f"{images}: images are {pixels.shape[1]} x {pixels.shape[2]} pixels, they must be"
            " square"
        )
    if not len(pixels):
        raise ValueError(f"{images}: holds no images")
    if classes.max() > 9:
        raise ValueError(f"{labels}: label {classes.max()} found, labels must be in 0..9")
    return pixels, classes


def _content(path: Path) -> bytes:
    """The bytes of a file, decompressed where they are compressed."""
    content = path.read_bytes()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: truncated or damaged gzip file ({error})") from error
