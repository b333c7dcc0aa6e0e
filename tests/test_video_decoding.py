"""Frames of videos: the right ones, the right way up, and none of a file that is not whole."""

import io
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.videos import numbered, numbers, write
from vidrep.datasets.videos import decode
from vidrep.datasets.videos.decode import Unreadable, read_frames, read_video
from vidrep.datasets.videos.layout import FRAMES, Item
from vidrep.datasets.videos.sample import BY_RATE, BY_STAMP, Timing, frame_times, take_windows

COUNT = 24
B_FRAMES = {"bf": "2", "g": "12"}
KINDS = [
    ("a.mp4", "libx264", "yuv420p", BY_STAMP),
    ("a.mov", "libx264", "yuv420p10le", BY_STAMP),
    ("a.mkv", "libx265", "yuv420p", BY_STAMP),
    ("a.mp4", "libsvtav1", "yuv420p10le", BY_STAMP),
    ("a.webm", "libvpx-vp9", "yuv420p", BY_STAMP),
    ("a.ts", "libx264", "yuv420p", BY_STAMP),
    ("a.gif", "gif", "gray", BY_STAMP),
    ("b.avi", "mpeg4", "yuv420p", BY_STAMP),
    ("a.avi", "libx264", "yuv420p", BY_RATE),
]
WHOLE = Item("a", "x")


def one(timing: Timing, item: Item = WHOLE, **changes):
    """A single window in the middle, unless changes say otherwise."""
    usual = {"frames": 4, "fps": 10.0, "stride": None, "count": 1, "short": "pad", "rng": None}
    return take_windows(timing, item, **{**usual, **changes})


def even(count: int, rate: float) -> Timing:
    """Frames of equal length, stamps in thousandths."""
    return Timing(np.round(np.arange(count) / rate, 3), BY_STAMP, 0.001)


@pytest.mark.parametrize("name, codec, pixels, method", KINDS)
def test_all_frames_come_in_their_order(tmp_path, name, codec, pixels, method):
    rate = 25 if codec == "gif" else 30  # GIF counts hundredths
    options = B_FRAMES if codec.startswith("libx") else {}
    path = tmp_path / name
    write(path, numbered(COUNT), codec=codec, pixels=pixels, rate=rate, options=options)
    video = read_video(path, 32, "rgb", "crop")
    assert numbers(video.frames) == list(range(COUNT))
    assert video.timing.method == method
    assert np.allclose(video.timing.times, np.arange(COUNT) / rate, atol=0.0011)
    grey = read_video(path, 32, "grey", "crop").frames
    assert grey.shape == (COUNT, 32, 32) and numbers(grey[..., None]) == list(range(COUNT))


def test_stamps_of_avi_with_b_frames_are_not_trusted(tmp_path):
    """The nearest stamps would pick other frames than those that are shown then."""
    path = write(tmp_path / "a.avi", numbered(COUNT), options=B_FRAMES)
    video = read_video(path, 32, "rgb", "crop")
    stamps = []
    with decode._opened(path) as (container, stream):
        for packet in container.demux(stream):
            stamps += [frame.pts for frame in packet.decode()]
    assert stamps != sorted(stamps)
    window = one(video.timing, frames=8, fps=15.0, count=1)
    steps = np.diff(numbers(video.frames[window.frames[0]]))
    assert (steps == 2).all()


def test_frames_of_uneven_length_are_taken_by_their_time(tmp_path):
    """A video that holds frame 3 for a second; header rates lie of such files."""
    stamps = [0, 40, 80, 120, 1120, 1160, 1200, 1240, 1280, 1320]
    for name in ("a.mkv", "a.mp4"):
        path = write(tmp_path / name, numbered(10), stamps=stamps, options=B_FRAMES)
        video = read_video(path, 16, "rgb", "crop")
        window = one(video.timing, frames=5, fps=4.0)
        start = (1.320 - 1.0) / 2
        wanted = start + np.arange(5) / 4
        expected = [int(np.searchsorted(stamps, 1000 * t + 0.5, side="right")) - 1 for t in wanted]
        assert numbers(video.frames[window.frames[0]]) == expected and expected.count(3) >= 3


def test_late_starts_and_sound_do_not_matter(tmp_path):
    stamps = [5000 + 40 * i for i in range(10)]
    path = write(tmp_path / "a.mkv", numbered(10), stamps=stamps, audio=True)
    video = read_video(path, 16, "rgb", "crop")
    assert video.timing.times[0] == 0 and np.isclose(video.timing.duration, 0.4)


def test_stamps_that_are_missing_or_fall_give_way_to_the_rate():
    base = Fraction(1, 30)
    assert frame_times([3, 5, 9], base, None).times.tolist() == [0, 2 * (1 / 30), 6 * (1 / 30)]
    for stamps in ([0, 2, 1], [0, None, 2], [None, None, None], [0, 1, 1]):
        timing = frame_times(stamps, base, Fraction(15))
        assert timing.method == BY_RATE and np.allclose(timing.times, [0, 1 / 15, 2 / 15])
    with pytest.raises(ValueError, match="neither"):
        frame_times([None, None], base, None)


def test_windows_spread_evenly_from_the_first_frame_to_the_last():
    windows = one(even(101, 10.0), frames=11, count=3)
    assert windows.frames.tolist() == [[s + k for k in range(11)] for s in (0, 45, 90)]
    middle = one(even(101, 10.0), frames=11)
    assert middle.frames[0].tolist() == list(range(45, 56))
    assert windows.real == 11 and not windows.repeats


def test_random_windows_lie_one_in_each_equal_piece():
    rng = np.random.default_rng(0)
    starts = np.array(
        [one(even(101, 10.0), frames=11, count=3, rng=rng).frames[:, 0] for _ in range(200)]
    )
    assert (starts[:, 0] <= 30).all() and (starts[:, 1] >= 30).all()
    assert (starts[:, 1] <= 60).all() and (starts[:, 2] >= 60).all() and starts.max() <= 90
    assert starts[:, 0].std() > 5  # uniform over 30: 8.7


def test_strides_count_frames_whatever_their_rate():
    for rate in (10.0, 50.0):
        taken = one(even(21, rate), frames=5, fps=None, stride=4, count=2)
        assert taken.frames.tolist() == [[0, 4, 8, 12, 16], [4, 8, 12, 16, 20]]


def test_short_videos_hold_loop_or_are_dropped():
    timing = even(5, 10.0)
    held = one(timing, frames=8, short="pad")
    assert held.frames[0].tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    looped = one(timing, frames=8, short="loop")
    assert looped.frames[0].tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert held.real == looped.real == 5
    assert one(timing, frames=8, short="drop") is None
    assert one(timing, frames=5, short="drop").frames[0].tolist() == [0, 1, 2, 3, 4]


def test_more_frames_a_second_than_there_are_is_told():
    assert one(even(20, 10.0), frames=6, fps=20.0).repeats
    assert not one(even(20, 10.0), frames=6, fps=10.0).repeats
    assert not one(even(3, 10.0), frames=6, fps=10.0, short="pad").repeats


def test_parts_of_files():
    timing = even(60, 10.0)
    seconds = Item("a", "x", start=2.0, end=4.0)
    assert one(timing, seconds, frames=20).frames[0].tolist() == list(range(20, 40))
    counted = Item("a", "x", start=9, end=14, unit=FRAMES)
    assert one(timing, counted, frames=5).frames[0].tolist() == list(range(9, 14))
    with pytest.raises(ValueError, match="no frame from 7"):
        one(timing, Item("a", "x", start=7.0, end=9.0))


def quadrant(height: int, width: int) -> np.ndarray:
    """(2, H, W, 3): the top left quarter is bright."""
    frames = np.full((2, height, width, 3), 40, np.uint8)
    frames[:, : height // 2, : width // 2] = 200
    return frames


def bright(frame: np.ndarray) -> list[list[bool]]:
    """Which quarters of a frame are bright."""
    half = frame.shape[0] // 2
    rows = (slice(0, half), slice(half, None))
    return [[bool(frame[y, x].mean() > 120) for x in rows] for y in rows]


@pytest.mark.parametrize(
    "matrix, rotation, expected",
    [
        ((1, 0, 0, 1), 0, [[True, False], [False, False]]),
        ((0, 1, -1, 0), 90, [[False, True], [False, False]]),  # shown turned to the right
        ((-1, 0, 0, -1), 180, [[False, False], [False, True]]),
        ((0, -1, 1, 0), 270, [[False, False], [True, False]]),
    ],
)
def test_videos_of_phones_are_turned(tmp_path, matrix, rotation, expected):
    """The display matrix of an MP4 tells how a frame is shown (ISO 14496-12, 8.3.2)."""
    path = write(tmp_path / "a.mp4", quadrant(48, 96))
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    video = read_video(path, 32, "rgb", "stretch")
    assert bright(video.frames[0]) == expected
    turned = rotation in (90, 270)
    assert (video.about.width, video.about.height) == ((48, 96) if turned else (96, 48))


def test_pixels_become_square(tmp_path):
    """A square of 32 x 64 stored pixels, each twice as wide as high."""
    frames = np.full((2, 64, 64, 3), 40, np.uint8)
    frames[:, :, 16:48] = 200
    path = write(tmp_path / "a.mp4", frames, aspect=Fraction(2, 1))
    video = read_video(path, 64, "grey", "pad")
    assert (video.about.width, video.about.height) == (128, 64)
    shown = video.frames[0] > 120
    rows = np.flatnonzero(shown.any(1))
    columns = np.flatnonzero(shown.any(0))
    assert abs(len(rows) - 32) <= 1 and abs(len(columns) - 32) <= 1
    assert (video.frames[0][:15] == 0).all()  # black above


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_crop_keeps_the_middle_pad_keeps_all_stretch_fills(tmp_path, resize):
    frames = np.full((2, 48, 96, 3), 90, np.uint8)
    frames[:, :, :8] = 255  # the left edge
    path = write(tmp_path / "a.mp4", frames)
    frame = read_video(path, 48, "grey", resize).frames[0]
    assert frame.shape == (48, 48)
    edge = frame[24, :3].max() > 200
    assert edge == (resize != "crop")
    assert bool((frame[:10] == 0).all()) == (resize == "pad")


def test_long_videos_are_decoded_twice_instead_of_held(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", numbered(COUNT), options=B_FRAMES)
    whole = read_video(path, 16, "rgb", "crop")
    monkeypatch.setattr(decode, "MOST_BYTES", 5 * 16 * 16 * 3)
    long = read_video(path, 16, "rgb", "crop")
    assert long.frames is None and long.timing.times.tolist() == whole.timing.times.tolist()
    wanted = np.array([20, 3, 3, 9])
    assert (read_frames(path, wanted, 16, "rgb", "crop") == whole.frames[wanted]).all()


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no whole videos, and a part of what is said of each."""
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    avi = write(folder / "whole.avi", noisy, codec="mpeg4").read_bytes()
    mp4 = write(folder / "whole.mp4", noisy).read_bytes()
    first = write(folder / "first.mp4", noisy, container_options={"movflags": "faststart"})
    fast = first.read_bytes()
    mkv = write(folder / "whole.mkv", noisy).read_bytes()
    flipped = bytearray(avi)
    for place in range(len(avi) // 4, len(avi) * 3 // 4, 97):
        flipped[place] ^= 0xFF
    contents = {
        "empty.avi": (b"", "Invalid data"),
        "noise.avi": (rng.bytes(5000), "Invalid data"),
        "page.mp4": (b"<html><body>404</body></html>", "Invalid data"),
        "pointer.mp4": (b"version https://git-lfs.github.com/spec/v1\n", "Invalid data"),
        "list.avi": (b"ffconcat version 1.0\nfile whole.avi\n", "none of the formats"),
        "half.avi": (avi[: len(avi) // 2], "cut"),
        "tail.avi": (avi[: len(avi) * 9 // 10], "cut"),
        "half.mp4": (mp4[: len(mp4) // 2], "Invalid data"),
        "fast.mp4": (fast[: len(fast) // 2], "cut"),
        "half.mkv": (mkv[: len(mkv) // 2], "cut"),
        "flipped.avi": (bytes(flipped), ""),
    }
    found = {}
    for name, (content, reason) in contents.items():
        (folder / name).write_bytes(content)
        found[name] = (folder / name, reason)
    header = avi[: avi.index(b"movi") + 4]
    (folder / "header.avi").write_bytes(header)
    found["header.avi"] = (folder / "header.avi", "no frame")
    png = io.BytesIO()
    Image.fromarray(noisy[0]).save(png, "png")
    (folder / "png.avi").write_bytes(png.getvalue())
    found["png.avi"] = (folder / "png.avi", "none of the formats")
    write(folder / "image.gif", noisy[:1, :, :, :], codec="gif", pixels="gray")
    found["image.gif"] = (folder / "image.gif", "one frame only")
    (folder / "dangling.avi").symlink_to(folder / "nowhere.avi")
    found["dangling.avi"] = (folder / "dangling.avi", "link to none")
    (folder / "loop.avi").symlink_to(folder / "loop.avi")
    found["loop.avi"] = (folder / "loop.avi", "symbolic links")
    return found


def test_files_that_are_no_whole_videos_are_told_apart(tmp_path):
    for name, (path, reason) in bad_files(tmp_path).items():
        with pytest.raises(Unreadable) as error:
            read_video(path, 16, "rgb", "crop")
        assert reason.lower() in str(error.value).lower(), (name, str(error.value))
        assert "\n" not in str(error.value)


def test_sound_alone_is_no_video(tmp_path):
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        tone.sample_rate = 8000
        container.mux(stream.encode(tone))
        container.mux(stream.encode())
    with pytest.raises(Unreadable, match="no video stream"):
        read_video(path, 16, "rgb", "crop")


def test_names_with_colons_are_names(tmp_path, monkeypatch):
    write(tmp_path / "pipe:1.mp4", numbered(3))
    monkeypatch.chdir(tmp_path)
    assert len(read_video(Path("pipe:1.mp4"), 16, "rgb", "crop").frames) == 3
