"""How fast videos become clips, beside a bare loop over PyAV.

    python benchmarks/decode.py FOLDER [--size 64] [--resize stretch]

Prints frames a second of CPU time of one process: of the bare loop, which decodes and shrinks every
frame and keeps none of the facts; of ``read_video``; and of the whole work on a file, with its
digest, its windows and their being written. The bare loop must shrink to the same size, so compare
with ``--resize stretch``; cropping shrinks to larger frames first.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
from av.video.reformatter import VideoReformatter

from vidrep.datasets.videos.decode import read_video
from vidrep.datasets.videos.layout import Item, is_video, list_files
from vidrep.datasets.videos.work import Settings, work_on


def bare(path: Path, size: int) -> int:
    """Decode and shrink all frames of a file; how many there are."""
    reformatter = VideoReformatter()
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for packet in container.demux(stream):
            for frame in packet.decode():
                small = reformatter.reformat(
                    frame, size, size, "rgb24", interpolation="AREA", threads=1
                )
                frames.append(small.to_ndarray())
    return len(frames)


def rate(files: list[Path], work: Callable[[Path], int]) -> float:
    """Frames a second of CPU time."""
    started = time.process_time()
    frames = sum(work(path) for path in files)
    return frames / (time.process_time() - started)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of videos")
    parser.add_argument("--size", type=int, default=64, help="side in pixels (default: 64)")
    parser.add_argument("--resize", default="stretch", help="crop, pad or stretch (default)")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many (default: 3)")
    args = parser.parse_args()
    files = [args.folder / path for path in list_files(args.folder) if is_video(path)]
    settings = Settings(
        frames=16,
        fps=8.0,
        stride=None,
        short="loop",
        size=args.size,
        colour="rgb",
        resize=args.resize,
        windows={"train": 4, "validation": 3, "test": 3},
        seed=0,
    )
    with tempfile.TemporaryDirectory() as folder:

        def whole(path: Path) -> int:
            items = [Item(path.name, "x", split="train")]
            return work_on(path, items, settings, Path(folder) / "kept")["rows"][0]["frames"]

        works = {
            "bare loop": lambda path: bare(path, args.size),
            "read_video": lambda path: len(
                read_video(path, args.size, "rgb", args.resize).timing.times
            ),
            "work_on": whole,
        }
        best = dict.fromkeys(works, 0.0)
        for _ in range(args.rounds):  # in turns: the machine's pace varies
            for name, work in works.items():
                best[name] = max(best[name], rate(files, work))
    for name, value in best.items():
        ratio = best["bare loop"] / value
        print(f"{name:12} {value:8,.0f} frames/s   {ratio:.2f} x the time of the bare loop")


if __name__ == "__main__":
    main()
