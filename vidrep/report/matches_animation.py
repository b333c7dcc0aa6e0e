"""Matched videos, animated: each query, and beside it the frames matched to it."""

from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw, ImageFont

from vidrep.report.naming import run_title
from vidrep.report.strips import read_arrays
from vidrep.report.style import GREY, INK, PALE, class_colours
from vidrep.report.writing import Animation

_TILE_PX = 100
_GAP_PX = 8
_BAR_PX = 6
_TEXT_PX = 13


def draw(matches: Path, dataset: str, system: str) -> Animation:
    """The animation of one run; empty for a run that embeds no frames."""
    found = read_arrays(matches)
    pictures = matches_animation(found) if found else []
    return Animation(f"Videos aligned by {run_title(dataset, system)}", pictures)


def matches_animation(matches: dict[str, np.ndarray]) -> list[Image.Image]:
    """One picture a frame of the query videos: each query, and beside it the frames matched to it,
    enlarged pixel by pixel.

    A bar below each frame is as long as the true share of the script that has passed there.
    """
    clips = matches["clips"]
    progress = matches["progress"]
    phase = matches["phase"]
    queries, lines, frames, height, width = clips.shape[:5]
    factor = max(1, round(_TILE_PX / height))
    cell = factor * width + _GAP_PX, factor * height + _BAR_PX + _GAP_PX
    top = _TEXT_PX + 2 * _GAP_PX
    colours = [tuple(round(255 * c) for c in to_rgb(colour)) for colour in class_colours(10)]
    pictures = []
    for t in range(frames):
        picture = Image.new("RGB", (lines * cell[0] + _GAP_PX, top + queries * cell[1]), "white")
        pen = ImageDraw.Draw(picture)
        font = ImageFont.load_default(_TEXT_PX)
        for i, j in np.ndindex(queries, lines):
            x = _GAP_PX + j * cell[0]
            y = top + i * cell[1]
            if i == 0:
                pen.text(
                    (x, _GAP_PX // 2),
                    f"query, frame {t}" if j == 0 else "matched",
                    INK if j == 0 else GREY,
                    font,
                )
            enlarged = clips[i, j, t].repeat(factor, 0).repeat(factor, 1)
            picture.paste(Image.fromarray(enlarged).convert("RGB"), (x, y))
            below = y + factor * height + 1
            pen.rectangle((x, below, x + factor * width - 1, below + _BAR_PX - 2), PALE)
            pen.rectangle(
                (x, below, x + progress[i, j, t] * (factor * width - 1), below + _BAR_PX - 2),
                colours[phase[i, j, t]],
            )
        pictures.append(picture)
    return pictures
