"""What one process does with one file: decode it, cut its windows, keep them.

A module of its own, because a process that is started for it imports nothing else.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vidrep.datasets.videos.decode import Unreadable, Video, read_frames, read_video
from vidrep.datasets.videos.layout import Item
from vidrep.datasets.videos.sample import Windows, take_windows
from vidrep.files import whole
from vidrep.random_streams import stream


@dataclass(frozen=True)
class Settings:
    """How clips are cut from videos; the keys of a data set of videos.

    Attributes:
        frames, fps, stride, short: see ``vidrep.datasets.videos.sample.take_windows``.
        size, colour, resize: see ``vidrep.datasets.videos.decode.read_video``.
        windows: number of windows of a video, by split.
        seed: of the experiment, for the windows of training videos.
    """

    frames: int
    fps: float | None
    stride: int | None
    short: str
    size: int
    colour: str
    resize: str
    windows: dict[str, int]
    seed: int

    @classmethod
    def of(cls, recipe: dict, seed: int) -> "Settings":
        """The settings of a data set's recipe."""
        names = ("frames", "fps", "stride", "short", "size", "colour", "resize", "windows")
        return cls(**{name: recipe[name] for name in names}, seed=seed)


def window_file(base: Path, number: int) -> Path:
    """Where the windows of one of the videos of a file are kept."""
    return base.with_name(f"{base.name}-{number}.npy")


def work_on(path: Path, items: list[Item], settings: Settings, base: Path) -> dict:
    """Decode a file, and keep the windows of each of its videos.

    Args:
        path: the file.
        items: the videos in it.
        settings: how clips are cut.
        base: windows go to ``window_file(base, number)``, and the answer, when all is done, to
            ``<base>.json``.

    Returns:
        ``rows``: of each video what the table of files says, ``windows`` (0 if it is skipped),
        ``reason``, and ``broken``, whether the file itself is at fault.
    """
    try:
        about = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        video = read_video(path, settings.size, settings.colour, settings.resize)
    except (Unreadable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        about = {} if isinstance(error, OSError) else about
        row = {**about, "windows": 0, "reason": reason, "broken": True}
        rows = [row] * len(items)
    else:
        about |= _facts(video)
        rows = []
        for number, item in enumerate(items):
            kept = window_file(base, number)
            rows.append({**about, **_keep_windows(path, item, video, settings, kept)})
    with whole(base.with_suffix(".json")) as beside:
        beside.write_text(json.dumps({"rows": rows}))
    return {"rows": rows}


def _keep_windows(path: Path, item: Item, video: Video, settings: Settings, kept: Path) -> dict:
    """Cut the windows of a video, write them, and say what there is to say of them."""
    try:
        windows = _windows(item, video, settings)
    except ValueError as error:
        return {"windows": 0, "reason": str(error), "broken": True}
    if windows is None:
        return {"windows": 0, "reason": "shorter than a clip", "broken": False}
    places = windows.frames.ravel()
    if video.frames is None:
        taken = read_frames(path, places, settings.size, settings.colour, settings.resize)
    else:
        taken = video.frames[places]
    with whole(kept) as beside:
        np.save(beside, taken.reshape(*windows.frames.shape, *taken.shape[1:]))
    note = _note(windows, video, settings)
    return {"windows": len(windows.frames), "note": note, "broken": False}


def _windows(item: Item, video: Video, settings: Settings) -> Windows | None:
    """Which frames the windows of a video show."""
    rng = None
    if item.split == "train":
        rng = stream(settings.seed, "videos", "windows", item.name)
    return take_windows(
        video.timing,
        item,
        frames=settings.frames,
        fps=settings.fps,
        stride=settings.stride,
        count=settings.windows[item.split],
        short=settings.short,
        rng=rng,
    )


def _note(windows: Windows, video: Video, settings: Settings) -> str:
    """What a reader of the table ought to know of a video that is used."""
    notes = []
    if windows.real < settings.frames:
        notes.append(f"short: {windows.real} of {settings.frames} frames, then {settings.short}")
    if windows.repeats:
        notes.append("frames repeated: fps above the file's")
    if video.about.damaged:
        notes.append(f"{video.about.damaged} damaged frames or packets")
    return "; ".join(notes)


def _facts(video: Video) -> dict:
    """What the table says of a decoded file."""
    timing = video.timing
    about = asdict(video.about)
    del about["header_frames"]
    return {
        **about,
        "frames": len(timing.times),
        "duration_s": round(timing.duration, 3),
        "fps": round(timing.rate, 3),
        "timing": timing.method,
    }


def _sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
