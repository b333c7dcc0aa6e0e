"""Small videos whose frames tell their number, for tests of decoding."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

STEP = 8  # grey levels from one frame to the next


def numbered(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """(count, H, W, 3) uint8: frame i has the grey level 16 + STEP * i everywhere."""
    levels = 16 + STEP * np.arange(count)
    assert levels[-1] < 256
    frames = np.zeros((count, height, width, 3), np.uint8)
    return frames + levels[:, None, None, None].astype(np.uint8)


def numbers(frames: np.ndarray) -> list[int]:
    """Which of the numbered frames these are, from their middle."""
    height, width = frames.shape[1:3]
    middle = frames[:, height // 4 : -height // 4, width // 4 : -width // 4]
    levels = middle.reshape(len(frames), -1).astype(float).mean(1)
    return np.round((levels - 16) / STEP).astype(int).tolist()


def write(
    path: Path,
    frames: np.ndarray,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rate: Fraction | int = 30,
    stamps: list[int] | None = None,
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    audio: bool = False,
) -> Path:
    """Write frames (n, H, W, 3); ``stamps`` are in thousandths of a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        sound = container.add_stream("aac", rate=8000, layout="mono") if audio else None
        for i, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if stamps is not None:
                frame.pts = stamps[i]
                frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            tone.sample_rate = 8000
            container.mux(sound.encode(tone))
            container.mux(sound.encode())
    return path
