"""Small animations of what runs generate: the clip beside the frames, pixels enlarged."""

import base64
import html
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vidrep.report.style import GREY, INK, PALE

_TILE_PX = 128  # side of an enlarged frame, roughly
_GAP_PX = 12
_EDGE_PX = 3
_TEXT_PX = 15
_SEEN = PALE  # edges of generated frames
_PREDICTED = "#D55E00"
_MS = 280
_LAST_MS = 1200
_PAIRS_A_ROW = 2


def animate(generated: dict[str, np.ndarray]) -> list[Image.Image]:
    """One picture a frame of the clips: each clip's true frame, the masked one where there is one,
    and the generated one.

    Args:
        generated: ``observed``, ``future`` and where there are ``masked``, ``reconstruction``,
            ``prediction``: (n, frames, H, W[, 3]) uint8.

    Returns:
        T pictures of the same size. What a run does not generate stays grey.
    """
    seen = generated["observed"].shape[1]
    future = generated["future"].shape[1]
    columns = {
        "clip": (generated["observed"], generated["future"]),
        **({"masked": (generated["masked"], None)} if "masked" in generated else {}),
        "generated": (generated.get("reconstruction"), generated.get("prediction")),
    }
    pictures = []
    for t in range(seen + future):
        label = f"frame {t}: seen" if t < seen else f"frame {t}: predicted, horizon {t - seen + 1}"
        tiles = {name: parts[0] if t < seen else parts[1] for name, parts in columns.items()}
        place = t if t < seen else t - seen
        shown = {
            name: None if frames is None else frames[:, place] for name, frames in tiles.items()
        }
        pictures.append(
            _picture(shown, generated["observed"].shape, label, _SEEN if t < seen else _PREDICTED)
        )
    return pictures


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


def _picture(
    shown: dict[str, np.ndarray | None], shape: tuple[int, ...], label: str, edge: str
) -> Image.Image:
    """All clips at one time; ``shown`` is column to frames (n, H, W[, 3]) or None, ``shape`` that
    of the clips.
    """
    count, _, height, width = shape[:4]
    factor = max(1, round(_TILE_PX / height))
    tile = (factor * width + 2 * _EDGE_PX, factor * height + 2 * _EDGE_PX)
    pair = len(shown) * tile[0] + (len(shown) - 1) * _EDGE_PX + _GAP_PX
    across = min(count, _PAIRS_A_ROW)
    top = 2 * _TEXT_PX + 14
    size = _GAP_PX + across * pair, top + -(-count // across) * (tile[1] + _GAP_PX)
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_TEXT_PX)
    pen.text((_GAP_PX, 4), label, INK if edge == _SEEN else edge, font)
    for i in range(count):
        left = _GAP_PX + i % across * pair
        upper = top + i // across * (tile[1] + _GAP_PX)
        for place, (name, frames) in enumerate(shown.items()):
            x = left + place * (tile[0] + _EDGE_PX)
            if i < across:
                pen.text((x, top - _TEXT_PX - 6), name, GREY, font)
            pen.rectangle(
                (x, upper, x + tile[0] - 1, upper + tile[1] - 1),
                edge if name == "generated" else PALE,
            )
            if frames is not None:
                enlarged = frames[i].repeat(factor, 0).repeat(factor, 1)
                picture.paste(
                    Image.fromarray(enlarged).convert("RGB"), (x + _EDGE_PX, upper + _EDGE_PX)
                )
            else:
                pen.rectangle((x, upper, x + tile[0] - 1, upper + tile[1] - 1), PALE)
    return picture
