"""Matched videos, animated: each query, and beside it the frames matched to it."""

from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image, ImageDraw, ImageFont

from vidrep.report.naming import run_title
from vidrep.report.strips import read_arrays
from vidrep.report.style import GREY, INK, PALE, class_colours
from vidrep.report.writing import Animation, enlarged

_TILE_PX = 100  # side of an enlarged frame, roughly
_GAP_PX = 8
_BAR_PX = 6
_TEXT_PX = 13


def draw(matches: Path, titles: dict[str, str], dataset: str, system: str) -> Animation:
    """The animation of one run; empty for a run that embeds no frames."""
    found = read_arrays(matches)
    pictures = matches_animation(found) if found else []
    return Animation(f"Videos aligned by {run_title(dataset, system, titles)}", pictures)


def matches_animation(matches: dict[str, np.ndarray]) -> list[Image.Image]:
    """One picture a frame of the query videos: each query, and beside it the matched frames.

    A bar below each frame is as long as the true share of the script that has passed there.

    Args:
        matches: ``clips`` (queries, lines, T, H, W[, 3]) uint8, ``progress`` and ``phase``
            (queries, lines, T), as ``vidrep.alignment.job.write_matches`` writes them.
    """
    return [_picture(matches, t) for t in range(matches["clips"].shape[2])]


def _picture(matches: dict[str, np.ndarray], t: int) -> Image.Image:
    """All queries and their matches at one time."""
    queries, lines, _, height, width = matches["clips"].shape[:5]
    factor = max(1, round(_TILE_PX / height))
    tile_width = factor * width
    tile_height = factor * height
    cell_width = tile_width + _GAP_PX
    cell_height = tile_height + _BAR_PX + _GAP_PX
    top = _TEXT_PX + 2 * _GAP_PX
    size = (lines * cell_width + _GAP_PX, top + queries * cell_height)
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_TEXT_PX)
    pen.text((_GAP_PX, _GAP_PX // 2), f"query, frame {t}", INK, font)
    for line in range(1, lines):
        pen.text((_GAP_PX + line * cell_width, _GAP_PX // 2), "matched", GREY, font)
    colours = [tuple(round(255 * c) for c in to_rgb(colour)) for colour in class_colours(10)]
    for query, line in np.ndindex(queries, lines):
        x = _GAP_PX + line * cell_width
        y = top + query * cell_height
        picture.paste(enlarged(matches["clips"][query, line, t], factor), (x, y))
        bar_top = y + tile_height + 1
        bar_bottom = bar_top + _BAR_PX - 2
        passed = matches["progress"][query, line, t]
        colour = colours[matches["phase"][query, line, t]]
        pen.rectangle((x, bar_top, x + tile_width - 1, bar_bottom), PALE)
        pen.rectangle((x, bar_top, x + passed * (tile_width - 1), bar_bottom), colour)
    return picture
