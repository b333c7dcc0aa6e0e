"""One style for every figure, with colours that colour-blind readers tell apart."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vidrep.files import whole

DPI = 140
SCREEN_WIDTH = 11.0  # inches: figures are read in a browser, at most about 1500 pixels wide
_NOTE_LETTERS = 15  # an inch
GREY = "#767676"
PALE = "#d9d9d9"  # cells without a value
INK = "#222222"

# These families keep colour and markers in every figure; others, of users or new in the catalogue,
# get what is left over.
# No palette keeps fifteen colours apart for colour-blind readers, so families whose colours they
# could confuse differ in their markers. Okabe and Ito's palette, then colours found by a search for
# large distances within each set of markers, with and without colour blindness.
_FAMILIES = {
    "osDp": {
        "3-D CNN": "#0072B2",
        "factorised 3-D CNN": "#56B4E9",
        "efficient video CNN": "#779922",
        "pretrained trunk": "#FF9988",
        "capsules": "#661111",
    },
    "^v<>": {
        "CNN + LSTM": "#D55E00",
        "3-D CNN + LSTM": "#441166",
        "ConvLSTM": "#E69F00",
        "LSTM autoencoder": "#CC79A7",
        "flow autoencoder": "#6410FD",
        "frame prediction": "#2C92F2",
        "control": GREY,
    },
    "PX*d": {
        "two-stream": "#009E73",
        "fusion CNN": "#880055",
        "video transformer": "#885500",
        "slow features": "#113311",
        "frame pooling": "#7788FF",
        "self-supervised transformer": "#580890",
        "frame alignment": "#BFAA1B",
        "temporal coherence": "#E149B0",
    },
}
FAMILY_COLOURS = {}
_FAMILY_MARKERS = {}
for _markers, _group in _FAMILIES.items():
    FAMILY_COLOURS |= _group
    _FAMILY_MARKERS |= dict.fromkeys(_group, _markers)
_SPARE = ("#113355", "#AA5533", "#AA8899", "#0000AA")
_SPARE_MARKERS = "osDp"
_DASHES = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (4, 1, 1, 1)),
)
# ten colours chosen by crowd and colour-vision model (Petroff 2021, arXiv 2107.02270)
CLASS_COLOURS = "petroff10"

_RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": INK,
    "axes.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "image.interpolation": "nearest",
    # outlines: embedding TrueType would take three times as long as drawing the figure
    "pdf.fonttype": 3,
    "figure.facecolor": "white",
}
_METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}


@dataclass(frozen=True)
class Look:
    """How a system is drawn: a shade of its family's colour, and a marker and a dash."""

    colour: tuple[float, float, float]
    marker: str
    dash: str | tuple


def family_colours(families: dict[str, str]) -> dict[str, str]:
    """The colour of each family; ``families`` is system to family."""
    spare = iter(_SPARE * len(families))
    names = dict.fromkeys(families.values())
    return {name: FAMILY_COLOURS.get(name) or next(spare) for name in names}


def family_patches(families: dict[str, str], systems: Collection[str]) -> list[Patch]:
    """The legend of the families that some of ``systems`` belong to."""
    colours = family_colours(families)
    used = dict.fromkeys(family for name, family in families.items() if name in systems)
    return [Patch(color=colours[family], label=family) for family in used]


def looks(families: dict[str, str]) -> dict[str, Look]:
    """The look of each system.

    Args:
        families: system to family, in the order of the experiment. Colours and markers of known
            families never change; up to twelve systems of one family differ by marker, dash and
            lightness.
    """
    colours = family_colours(families)
    result = {}
    used = dict.fromkeys(colours, 0)
    for system, family in families.items():
        place = used[family]
        used[family] += 1
        colour = _lighten(colours[family], 0.2 * (place % 3))
        markers = _FAMILY_MARKERS.get(family, _SPARE_MARKERS)
        result[system] = Look(colour, markers[place % 4], _DASHES[place % 4])
    return result


def _lighten(colour: str, share: float) -> tuple[float, float, float]:
    return tuple(channel + (1 - channel) * share for channel in to_rgb(colour))


def class_colours(count: int) -> list:
    """Colours of ``count`` classes: ten distinct ones, or steps of one map when there are more."""
    if count <= 10:
        return list(matplotlib.color_sequences[CLASS_COLOURS][:count])
    steps = [i / (count - 1) for i in range(count)]
    return list(matplotlib.colormaps["turbo"](steps))


def new_figure(height: float, *, title: str, note: str, width: float = SCREEN_WIDTH) -> Figure:
    """An empty figure in the project's style, laid out by itself.

    Args:
        height, width: inches.
        title: says what is shown.
        note: the small print below, broken into lines: n, intervals, conventions.
    """
    matplotlib.rcParams.update(_RC)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    lines = fill(note, int(_NOTE_LETTERS * width))
    figure.supxlabel(lines, x=0.01, ha="left", fontsize=7.5, color=GREY)
    return figure


def broken(name: str, letters: int) -> str:
    """A name in lines of at most ``letters`` where it has underscores to be broken behind."""
    lines = [""]
    for piece in re.findall("[^_]*_?", name):
        if lines[-1] and len(lines[-1] + piece) > letters:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def grid_height(count: int, columns: int, row_height: float) -> float:
    """Inches that ``count`` panels take, ``columns`` of them side by side."""
    return -(-count // columns) * row_height


def panel_grid(figure: Figure, count: int, columns: int, **options) -> list[Axes]:
    """``count`` panels in rows of ``columns``; ``options`` go to ``Figure.subplots``."""
    panels = figure.subplots(-(-count // columns), columns, squeeze=False, **options).ravel()
    for axes in panels[count:]:
        axes.set_axis_off()
    return list(panels[:count])


def colour_bar(
    figure: Figure,
    panels: list[Axes],
    label: str,
    limits: tuple[float, float],
    cmap: str,
    **options,
) -> None:
    """One colour bar for several panels."""
    scale = ScalarMappable(Normalize(*limits), cmap)
    bar = figure.colorbar(scale, ax=panels, label=label, **options)
    bar.outline.set_visible(False)


def contrast(colour: tuple) -> str:
    """Black or white: what can be read on ``colour`` (RGB or RGBA)."""
    return "black" if np.dot(colour[:3], (0.299, 0.587, 0.114)) > 0.5 else "white"


def cell_text(axes: Axes, x: float, y: float, text: str, **options) -> None:
    """Centred text inside the axes; left out of the layout, which would measure each piece."""
    axes.text(x, y, text, ha="center", va="center", in_layout=False, clip_on=False, **options)


def write_cells(
    axes: Axes,
    values: np.ndarray,
    texts: np.ndarray,
    limits: tuple[float, float],
    cmap: str,
    size: float,
) -> None:
    """Write ``texts`` into the cells of a heat map of ``values``, black or white."""
    colours = matplotlib.colormaps[cmap](Normalize(*limits)(values))
    for i, j in np.ndindex(values.shape):
        if not np.isnan(values[i, j]):
            cell_text(axes, j, i, texts[i, j], fontsize=size, color=contrast(colours[i, j]))


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as PNG and, beside it, as PDF, each whole or not at all.

    The same figure gives the same bytes.

    Raises:
        ValueError: ``path`` does not end in .png.
    """
    path = Path(path)
    if path.suffix != ".png":
        raise ValueError(f"{path}: figures are written as .png (and .pdf beside it)")
    figure.set_dpi(DPI)  # letters are not as wide at every resolution
    figure.draw_without_rendering()  # fixes the layout once for both files
    figure.set_layout_engine("none")
    for target in (path, path.with_suffix(".pdf")):
        with whole(target) as beside:
            figure.savefig(beside, dpi=DPI, metadata=_METADATA[target.suffix])
