"""Further targets of training, made from the factors of a data set."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

SECTORS = 8
SPEEDS = 10


@dataclass(frozen=True)
class Target:
    """A multi-label target beside a clip's labels.

    Attributes:
        factor: the factor that it is made from.
        size: number of its classes.
        classes: from the factor's values (n, k) to class numbers (n, k).
        mirrored: what each class becomes when the clip is mirrored left to right.
    """

    factor: str
    size: int
    classes: Callable[[np.ndarray], np.ndarray]
    mirrored: tuple[int, ...]


def sectors(direction_rad: np.ndarray) -> np.ndarray:
    """The eighth of a turn that a direction lies in, counted from the right by way of down."""
    eighths = direction_rad * SECTORS / (2 * np.pi)
    return np.floor(eighths).astype(int) % SECTORS


def whole_numbers(values: np.ndarray) -> np.ndarray:
    """Class numbers as they stand."""
    return values.astype(int)


TARGETS = {
    "directions": Target(
        factor="direction_rad",
        size=SECTORS,
        classes=sectors,
        # a mirror turns the direction a into half a turn minus a
        mirrored=tuple((3 - sector) % SECTORS for sector in range(SECTORS)),
    ),
    "speeds": Target(
        factor="speed_class",
        size=SPEEDS,
        classes=whole_numbers,
        mirrored=tuple(range(SPEEDS)),
    ),
}


def find_target(name: str) -> Target:
    """The target called ``name``; unknown names raise ValueError."""
    if name not in TARGETS:
        raise ValueError(f"unknown target {name!r}: give one of {', '.join(TARGETS)}")
    return TARGETS[name]


def make_target(name: str, factors: dict[str, np.ndarray]) -> np.ndarray:
    """A target for all clips of a file.

    Args:
        name: a key of ``TARGETS``.
        factors: name to (n, k), one value for each digit.

    Returns:
        (n, classes) uint8 multi-hot: which classes occur in a clip.

    Raises:
        ValueError: unknown target, or a data set without its factor.
    """
    target = find_target(name)
    if target.factor not in factors:
        known = ", ".join(sorted(factors)) or "none"
        raise ValueError(
            f"target {name!r} needs the factor {target.factor}; this data set has {known}"
        )
    classes = target.classes(factors[target.factor])
    multi_hot = np.zeros((len(classes), target.size), np.uint8)
    np.put_along_axis(multi_hot, classes, 1, axis=1)
    return multi_hot
