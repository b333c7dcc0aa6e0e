"""Reading a video file from front to back with PyAV, and telling whether it is whole.

PyAV brings FFmpeg along. Files are decoded in one thread each, because many files are decoded at
once, and in one pass without seeking, because seeking is wrong in some containers.
"""

import errno
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from vidrep.datasets.videos.sample import Timing, frame_times

ATTACHED = Disposition.attached_pic
FORMATS = "avi,mov,matroska,mpegts,gif"
MOST_BYTES = 512 * 2**20  # of a video's small frames in memory; longer ones are decoded twice
MOST_DAMAGED = 0.05  # share of frames
FEWEST_MISSING = 3  # frames that headers of whole files claim too many
MOST_MISSING = 0.02  # share of such frames
LEAST_OF_DURATION = 0.95
# FFmpeg's numbers for what tells how colours were made; files without a tag are read as BT.601.
COLORSPACES = {0: "rgb", 1: "bt709", 2: "untagged", 5: "bt601", 6: "bt601", 9: "bt2020"}
COLOR_RANGES = {0: "untagged", 1: "limited", 2: "full"}


class Unreadable(ValueError):
    """A file that cannot be used; the message says why."""


@dataclass
class About:
    """What a file tells of itself, and what decoding found.

    Attributes:
        width, height: of a shown frame in pixels, turned and with square pixels.
        codec, pixels: as FFmpeg calls them.
        colorspace, color_range: what the file says of its colours, "untagged" if nothing.
        rotation: degrees by which frames are turned.
        header_frames: number of frames that the header claims; 0 where it claims none.
        damaged: frames that came out damaged, and packets that could not be decoded.
    """

    width: int = 0
    height: int = 0
    codec: str = ""
    pixels: str = ""
    colorspace: str = ""
    color_range: str = ""
    rotation: int = 0
    header_frames: int = 0
    damaged: int = 0


@dataclass
class Video:
    """A decoded file.

    Attributes:
        timing: when its frames are shown.
        about: further facts.
        frames: (n, size, size) or (n, size, size, 3) uint8; None for a file whose frames are too
            many to be held.
    """

    timing: Timing
    about: About
    frames: np.ndarray | None = field(repr=False)


def read_video(path: Path, size: int, colour: str, resize: str) -> Video:
    """Decode a file from front to back.

    Args:
        path: the file.
        size: side of the square frames.
        colour: grey or rgb.
        resize: crop (short side to ``size``, middle taken), pad (long side, black around) or
            stretch.

    Raises:
        Unreadable: it is no video, or cut, or damaged.
    """
    most = MOST_BYTES // (size * size * (3 if colour == "rgb" else 1))
    about = About()
    stamps: list[int | None] = []
    held: list[np.ndarray] = []

    def take(frame: av.VideoFrame) -> None:
        if len(stamps) < most:
            held.append(shrink(frame))
        stamps.append(frame.pts)

    with _opened(path) as (container, stream):
        shrink = Shrinker(size, colour, resize, stream.sample_aspect_ratio)
        _describe(stream, about)
        _decode(container, stream, about, take)
        if not stamps:
            raise Unreadable("no frame in it")
        about.rotation = shrink.rotation
        about.width, about.height = shrink.shown
        timing = _timing(stamps, stream)
        _check_whole(path, container, stream, about, stamps)
    frames = np.stack(held) if len(held) == len(stamps) else None
    return Video(timing, about, frames)


def read_frames(path: Path, wanted: np.ndarray, size: int, colour: str, resize: str) -> np.ndarray:
    """Some frames of a file that has been read before, by their places.

    Args:
        path, size, colour, resize: as for ``read_video``.
        wanted: places in the file, any order, repeated or not.

    Returns:
        (len(wanted), size, size) or (len(wanted), size, size, 3) uint8.
    """
    needed = set(wanted.tolist())
    found: dict[int, np.ndarray] = {}
    seen = 0

    def take(frame: av.VideoFrame) -> None:
        nonlocal seen
        if seen in needed:
            found[seen] = shrink(frame)
        seen += 1

    with _opened(path) as (container, stream):
        shrink = Shrinker(size, colour, resize, stream.sample_aspect_ratio)
        _decode(container, stream, About(), take)
    return np.stack([found[place] for place in wanted.tolist()])


class Shrinker:
    """Makes small square frames: square pixels, upright, then resized by areas.

    Args:
        size, colour, resize: see ``read_video``.
        aspect: width of a pixel by its height; None for square ones.
    """

    def __init__(self, size: int, colour: str, resize: str, aspect: Fraction | None) -> None:
        self.size = size
        self.aspect = float(aspect or 1)
        self.format = {"rgb": "rgb24", "grey": "gray"}[colour]
        self.resize = resize
        self.reformatter = (
            VideoReformatter()
        )  # one for all frames: a new one costs more than a frame
        self.rotation = 0
        self.shown = (0, 0)
        self._known: tuple | None = None
        self._scaled = (0, 0)

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """(size, size) or (size, size, 3) uint8."""
        geometry = (frame.width, frame.height, frame.rotation)
        if geometry != self._known:  # may change within a file
            self._known = geometry
            self._scaled = self._scale(*geometry)
        width, height = self._scaled
        # more threads would be started and ended for every frame
        small = self.reformatter.reformat(
            frame, width, height, self.format, interpolation="AREA", threads=1
        ).to_ndarray()
        return self._square(np.rot90(small, self.rotation // 90))

    def _scale(self, width: int, height: int, rotation: float) -> tuple[int, int]:
        """Width and height to which frames are scaled before they are turned."""
        shown_width = width * self.aspect
        self.rotation = round(rotation / 90) % 4 * 90
        turned = self.rotation in (90, 270)
        self.shown = (height, round(shown_width)) if turned else (round(shown_width), height)
        if self.resize == "stretch":
            return self.size, self.size
        side = min(shown_width, height) if self.resize == "crop" else max(shown_width, height)
        scale = self.size / side
        return max(1, round(shown_width * scale)), max(1, round(height * scale))

    def _square(self, frame: np.ndarray) -> np.ndarray:
        """The middle of a frame, or the frame in the middle of black."""
        height, width = frame.shape[:2]
        if self.resize == "pad":
            square = np.zeros((self.size, self.size, *frame.shape[2:]), np.uint8)
            top = (self.size - height) // 2
            left = (self.size - width) // 2
            square[top : top + height, left : left + width] = frame
            return square
        top = (height - self.size) // 2
        left = (width - self.size) // 2
        return frame[top : top + self.size, left : left + self.size]


@contextmanager
def _opened(path: Path) -> Iterator[tuple]:
    """A file open for decoding: its container and its first video stream that is no cover.

    Raises:
        Unreadable: it cannot be opened.
    """
    # FFmpeg would take "a:b.avi" for an address: hence an absolute path; and it would follow lists
    # of other files and of addresses: hence the formats
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        container = av.open(str(path.absolute()), options=options)
    except FileNotFoundError:
        raise Unreadable("no such file, or a link to none") from None
    except (av.error.FFmpegError, OSError) as error:
        if not os.access(path, os.R_OK):
            raise Unreadable(f"may not be read: {error.strerror}") from None
        if error.errno in (errno.EINVAL, errno.EACCES, errno.EPERM):  # FORMATS does not have it
            raise Unreadable(f"none of the formats {FORMATS}") from None
        raise Unreadable(f"not a video that can be read: {error.strerror}") from None
    with container:
        moving = [s for s in container.streams.video if not s.disposition & ATTACHED]
        if not moving:
            raise Unreadable("no video stream in it")
        moving[0].thread_type = "NONE"
        yield container, moving[0]


def _describe(stream, about: About) -> None:
    """Note what a stream's header says."""
    context = stream.codec_context
    about.codec = context.name
    about.pixels = context.pix_fmt or ""
    about.colorspace = COLORSPACES.get(int(context.colorspace), str(context.colorspace))
    about.color_range = COLOR_RANGES.get(int(context.color_range), str(context.color_range))
    about.header_frames = stream.frames


def _decode(container, stream, about: About, take: Callable[[av.VideoFrame], None]) -> None:
    """Hand over every frame that can be decoded, counting damage."""
    packets: Iterator[av.Packet] = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError):  # the container itself is damaged from here on
            about.damaged += 1
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            about.damaged += 1
            continue
        for frame in frames:
            about.damaged += bool(frame.is_corrupt)
            take(frame)


def _timing(stamps: list[int | None], stream) -> Timing:
    """When frames are shown."""
    try:
        return frame_times(stamps, stream.time_base, stream.average_rate)
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _check_whole(path: Path, container, stream, about: About, stamps: list) -> None:
    """Raise Unreadable for files that were cut or are too damaged.

    Decoders end a cut file without an error, and what they say of its length is what is left.
    """
    count = len(stamps)
    if count == 1:
        raise Unreadable("an image: one frame only")
    missing = about.header_frames - count
    if missing > max(FEWEST_MISSING, MOST_MISSING * about.header_frames):
        raise Unreadable(f"cut: {count} of {about.header_frames} frames are there")
    declared = declared_bytes(path)
    if declared > path.stat().st_size:
        raise Unreadable(f"cut: {path.stat().st_size} of {declared} bytes are there")
    if about.damaged > MOST_DAMAGED * count:
        raise Unreadable(f"damaged: {about.damaged} of {count} frames or packets")
    last = stamps[-1]
    matroska = "matroska" in container.format.name
    if matroska and container.duration and last is not None:
        rate = float(stream.average_rate or 1)
        end = float(last * stream.time_base) + 1 / rate
        declared_end = container.duration / 1e6  # microseconds, from 0 and not from the start
        if end < LEAST_OF_DURATION * declared_end:
            raise Unreadable(f"cut: ends at {end:.2f} of {declared_end:.2f} s")


def declared_bytes(path: Path) -> int:
    """How long a file of RIFF or of MP4 boxes says that it is; 0 for others."""
    total = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and len(head) == 12:
            return struct.unpack("<I", head[4:8])[0] + 8
        if head[4:8] != b"ftyp":
            return 0
        place = 0
        while place < total:
            file.seek(place)
            head = file.read(16)
            if len(head) < 8:
                return place + 8
            (length,) = struct.unpack(">I", head[:4])
            if length == 1 and len(head) == 16:
                (length,) = struct.unpack(">Q", head[8:])
            if length == 0:  # to the end of the file
                return total
            if length < 8:  # no box any more
                return place
            place += length
    return place
