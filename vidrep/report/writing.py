"""How figures become files: PNG and PDF, or WebP and a page that shows it."""

import base64
import html
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from vidrep.files import whole
from vidrep.report.style import INK, save

_MS = 280
_LAST_MS = 1200


@dataclass(frozen=True)
class Animation:
    """Pictures that follow each other; none where there is nothing to show."""

    title: str
    pictures: list[Image.Image]


def write(drawn: Figure | Animation, stem: Path) -> None:
    """Write what was drawn to ``stem`` with the suffixes of its kind, whole or not at all."""
    if isinstance(drawn, Figure):
        save(drawn, stem.with_name(f"{stem.name}.png"))
        return
    animation = webp(drawn.pictures) if drawn.pictures else b""
    with whole(stem.with_name(f"{stem.name}.webp")) as path:
        path.write_bytes(animation)
    with whole(stem.with_name(f"{stem.name}.html")) as path:
        path.write_text(page(animation, drawn.title))


def enlarged(frame: np.ndarray, factor: int) -> Image.Image:
    """A frame (H, W[, 3]) uint8 as a picture, each pixel ``factor`` times as wide and high."""
    pixels = frame.repeat(factor, 0).repeat(factor, 1)
    return Image.fromarray(pixels).convert("RGB")


def webp(pictures: list[Image.Image]) -> bytes:
    """Pictures as one endless animation, without loss."""
    buffer = BytesIO()
    durations = [_MS] * (len(pictures) - 1) + [_LAST_MS]
    pictures[0].save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=durations,
        loop=0,
        lossless=True,
        method=4,
    )
    return buffer.getvalue()


def page(animation: bytes, title: str) -> str:
    """A page that holds an animation: Snakemake's report shows pages, but not WebP."""
    data = base64.b64encode(animation).decode()
    title = html.escape(title)
    style = f"body {{ font: 14px sans-serif; color: {INK}; margin: 1em }} img {{ max-width: 100% }}"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    body = f'<p>{title}</p><img alt="{title}" src="data:image/webp;base64,{data}">'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'
