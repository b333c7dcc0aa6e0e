"""Which frames of a video become which clip: pure functions of the times of its frames."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from vidrep.datasets.videos.layout import FRAMES, Item

BY_STAMP = "time stamps"
BY_RATE = "mean rate, for lack of time stamps that rise"


@dataclass(frozen=True)
class Timing:
    """When the frames of a video are shown.

    Attributes:
        times: (n,) seconds from the first frame on, rising.
        method: how they are known, ``BY_STAMP`` or ``BY_RATE``.
        tick: seconds of the smallest step that the file can tell.
    """

    times: np.ndarray
    method: str
    tick: float

    @property
    def rate(self) -> float:
        """Mean frames a second; NaN for a single frame."""
        if len(self.times) < 2:
            return float("nan")
        return (len(self.times) - 1) / float(self.times[-1] - self.times[0])

    @property
    def duration(self) -> float:
        """Seconds, the last frame shown as long as the others on average."""
        if len(self.times) < 2:
            return self.tick
        return float(self.times[-1]) + 1 / self.rate


def frame_times(
    stamps: list[int | None], time_base: Fraction, average_rate: Fraction | None
) -> Timing:
    """When frames are shown, from their stamps where these can be trusted.

    Files of AVI hold no presentation times: with B-frames a decoder hands over the frames in their
    order but with the stamps of others, so that stamps which do not rise mean nothing. Then, and
    where stamps are missing, frames are taken to be equally long.

    Args:
        stamps: presentation time stamps in the order in which frames come out of the decoder.
        time_base: seconds of a tick.
        average_rate: frames a second, as the file tells; None where it does not.

    Raises:
        ValueError: neither stamps nor rate are known.
    """
    tick = float(time_base)
    if None not in stamps:
        rising = all(a < b for a, b in pairwise(stamps))
        if rising:
            ticks = np.array(stamps, np.int64) - stamps[0]
            return Timing(ticks * tick, BY_STAMP, tick)
    if not average_rate:
        raise ValueError("neither time stamps nor a frame rate")
    return Timing(np.arange(len(stamps)) / float(average_rate), BY_RATE, tick)


@dataclass(frozen=True)
class Windows:
    """The clips of a video.

    Attributes:
        frames: (windows, T) places of their frames in the file.
        real: frames of each clip that the video has; fewer than T where it is too short.
        repeats: does a clip show frames twice because the file has fewer a second than asked for?
    """

    frames: np.ndarray
    real: int
    repeats: bool


def take_windows(
    timing: Timing,
    item: Item,
    *,
    frames: int,
    fps: float | None,
    stride: int | None,
    count: int,
    short: str,
    rng: np.random.Generator | None,
) -> Windows | None:
    """The windows of a video, or of the part of a file that counts.

    Frame k of a window is the last one that is shown at its start + k / fps, half a tick of the
    file allowed. Windows start evenly from the beginning to the last possible start, a single one
    in the middle; with ``rng`` one starts at random in each of ``count`` equal pieces.

    Args:
        timing: of the whole file.
        item: which part of it counts.
        frames: T.
        fps: frames a second; None with ``stride``.
        stride: every so many frames instead.
        count: number of windows.
        short: of videos shorter than a clip: "pad" holds the last frame, "loop" begins again,
            "drop" takes none.
        rng: of training videos.

    Returns:
        None where the video is shorter than a clip and shall be dropped.

    Raises:
        ValueError: no frame lies in the part that counts.
    """
    first, end = _part(timing, item)
    if stride is None:
        positions = timing.times[first:end] - timing.times[first]
        step = 1 / fps
        slack = timing.tick / 2
    else:
        positions = np.arange(end - first, dtype=float)
        step = float(stride)
        slack = 0.25  # of a frame: all are whole numbers
    span = (frames - 1) * step
    last = float(positions[-1])
    too_short = span > last + slack
    if too_short and short == "drop":
        return None
    starts = _starts(max(0.0, last - span), count, rng)
    wanted = starts[:, None] + step * np.arange(frames)  # (windows, T)
    inside = wanted[0] <= last + slack
    if too_short and short == "loop":
        typical = last / max(len(positions) - 1, 1)  # how long a frame is shown
        wanted = wanted % max(last + typical, slack)
    chosen = np.searchsorted(positions, wanted + slack, side="right") - 1
    real = chosen[0, inside]
    return Windows(
        frames=first + chosen,
        real=int(inside.sum()),
        repeats=bool((np.diff(real) == 0).any()),
    )


def _part(timing: Timing, item: Item) -> tuple[int, int]:
    """The first frame of the part of a file that counts, and the first after it."""
    total = len(timing.times)
    if item.unit == FRAMES:
        first = int(item.start or 0)
        end = total if item.end is None else min(total, int(item.end))
    else:
        slack = timing.tick / 2
        start = (item.start or 0.0) - slack
        first = int(np.searchsorted(timing.times, start, side="left"))
        end = total
        if item.end is not None:
            end = int(np.searchsorted(timing.times, item.end - slack, side="left"))
    if first >= end:
        raise ValueError(f"no frame from {item.start} to {item.end} {item.unit}; it has {total}")
    return first, end


def _starts(room: float, count: int, rng: np.random.Generator | None) -> np.ndarray:
    """Where windows start between 0 and ``room``: evenly, or at random in equal pieces."""
    if rng is not None:
        return room * (np.arange(count) + rng.random(count)) / count
    if count == 1:
        return np.array([room / 2])
    return np.linspace(0.0, room, count)
