"""Flow as colour: hue tells the direction, saturation the length.

The wheel is that of Baker et al., IJCV 2011. The length at which colours saturate is an argument,
never taken from the picture: otherwise speeds could not be compared between pictures.
"""

import numpy as np

# Steps of the wheel from red to yellow, green, cyan, blue, magenta and back to red: more where the
# eye tells hues apart.
_STEPS = (15, 6, 4, 11, 13, 6)
_RED = (1, 0, 0)
_YELLOW = (1, 1, 0)
_GREEN = (0, 1, 0)
_CYAN = (0, 1, 1)
_BLUE = (0, 0, 1)
_MAGENTA = (1, 0, 1)
_CORNERS = np.array([_RED, _YELLOW, _GREEN, _CYAN, _BLUE, _MAGENTA, _RED], np.float32)


def colour_flow(flow: np.ndarray, max_px: float) -> np.ndarray:
    """Colour pictures of flow fields.

    Args:
        flow: (..., 2, H, W), pixels.
        max_px: length that gets the full colour; longer vectors keep it, somewhat darkened.

    Returns:
        (..., H, W, 3) uint8 RGB; white where nothing moves, red to the right, colours turn as on
        ``colour_wheel``.

    Raises:
        ValueError: ``max_px`` is not positive.
    """
    if not max_px > 0:
        raise ValueError(f"max_px must be positive, got {max_px}")
    x, y = np.moveaxis(flow.astype(np.float32), -3, 0) / max_px
    length = np.hypot(x, y)[..., None]
    turn = np.mod(np.arctan2(y, x) / (2 * np.pi), 1.0)
    hue = _hue(turn)
    within = 1 - length * (1 - hue)
    beyond = 0.75 * hue
    colour = np.where(length <= 1, within, beyond)
    return np.rint(255 * colour).astype(np.uint8)


def colour_wheel(size: int) -> np.ndarray:
    """The legend: a (size, size, 3) uint8 RGB disc.

    Each place has the colour of a vector from the centre to it. The rim stands for ``max_px``;
    outside it is white.
    """
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    inside = np.hypot(x, y) <= 1
    return colour_flow(np.stack([x, y]) * inside, 1.0)


def _hue(turn: np.ndarray) -> np.ndarray:
    """RGB in [0, 1] (..., 3) of a share of a full turn."""
    knots = np.concatenate([[0], np.cumsum(_STEPS)]) / sum(_STEPS)
    channels = [np.interp(turn, knots, _CORNERS[:, channel]) for channel in range(3)]
    return np.stack(channels, -1).astype(np.float32)
