"""Recipes of the data sets that we render, and the catalogue of those that have a name.

The Snakefile reads this module whenever it is parsed, so it imports nothing heavy.
"""

from dataclasses import dataclass

BOUNCING = "bouncing"
SEQUENCES = "sequences"


@dataclass(frozen=True)
class BouncingRecipe:
    """One version of BouncingMNIST.

    Attributes:
        class_velocity: the step of a digit is ``step * (label + 1)`` instead of ``step``.
        hide_digits: every digit is replaced by the same bright square, half the patch wide and
            centred in it.
        step: movement per frame as a share of the free range (canvas side minus patch side).
        frames: frames per clip.
        size: side of the square canvas in pixels.
        patch: side of a digit's patch in pixels.
        digits: digits per clip.
    """

    class_velocity: bool
    hide_digits: bool
    step: float
    frames: int
    size: int
    patch: int
    digits: int = 2

    def __post_init__(self) -> None:
        _check_patch(self.patch, self.size)
        if self.frames < 2:
            raise ValueError(f"a clip needs at least 2 frames, got {self.frames}")
        if self.digits < 1:
            raise ValueError(f"a clip needs at least 1 digit, got {self.digits}")

    @property
    def free_px(self) -> int:
        """Free range of a patch's corner, in pixels."""
        return self.size - self.patch


@dataclass(frozen=True)
class SequenceRecipe:
    """One version of the sequences.

    Attributes:
        frames: frames per video.
        size: side of the square canvas in pixels.
        patch: side of a digit's patch in pixels.
        jitter: how far start, end and wall hits vary at most, as a share of the free range (canvas
            side minus patch side).
        warp: spread of the pace, the standard deviation of its logarithm; 0 is the same steady pace
            for all.
        pauses: how often a video comes nearly to a stop, at random times.
        still_digits: how many digits stand still behind, darker, at random places.
    """

    frames: int
    size: int
    patch: int
    jitter: float
    warp: float
    pauses: int = 0
    still_digits: int = 0

    def __post_init__(self) -> None:
        _check_patch(self.patch, self.size)
        if self.frames < 8:
            raise ValueError(
                f"a sequence needs at least 8 frames, two for each of its phases, got {self.frames}"
            )
        if not 0 <= self.jitter <= 0.2 or self.warp < 0:
            raise ValueError(
                f"jitter must lie in [0, 0.2] and warp must not be negative, got {self.jitter} and"
                f" {self.warp}"
            )
        if self.pauses < 0 or self.still_digits < 0:
            raise ValueError(
                f"pauses and still_digits must not be negative, got {self.pauses} and"
                f" {self.still_digits}"
            )


def _check_patch(patch: int, size: int) -> None:
    """A digit must be smaller than the canvas, or it could not move."""
    if not 4 <= patch < size:
        raise ValueError(
            f"digit patch of {patch} px does not fit: "
            f"it must be at least 4 px and smaller than the canvas of {size} px"
        )


@dataclass(frozen=True)
class Version:
    """A data set of the catalogue.

    Attributes:
        kind: the kind of data set.
        title: its name in figures.
        settings: what sets it apart from other versions of its kind: fields of the recipe.
    """

    kind: str
    title: str
    settings: dict


_APPEARANCE = {"class_velocity": False, "hide_digits": False}
_SPEED = {"class_velocity": True, "hide_digits": True}
_BOTH = {"class_velocity": True, "hide_digits": False}
_FAST = 0.1
_SLOW = 0.03

CATALOGUE = {
    "digits_only": Version(BOUNCING, "appearance only", {**_APPEARANCE, "step": _FAST}),
    "velocity_only": Version(BOUNCING, "speed only", {**_SPEED, "step": _FAST}),
    "digits_and_velocity": Version(BOUNCING, "appearance and speed", {**_BOTH, "step": _FAST}),
    "digits_only_slow": Version(BOUNCING, "appearance only, slow", {**_APPEARANCE, "step": _SLOW}),
    "velocity_only_slow": Version(BOUNCING, "speed only, slow", {**_SPEED, "step": _SLOW}),
    "digits_and_velocity_slow": Version(
        BOUNCING, "appearance and speed, slow", {**_BOTH, "step": _SLOW}
    ),
    # Another number of digits, for what a network trained on two makes of them.
    "one_digit": Version(BOUNCING, "one digit", {**_APPEARANCE, "step": _FAST, "digits": 1}),
    "three_digits": Version(BOUNCING, "three digits", {**_APPEARANCE, "step": _FAST, "digits": 3}),
    "sequences": Version(SEQUENCES, "sequences", {}),
    "sequences_unwarped": Version(SEQUENCES, "sequences, steady pace", {"warp": 0.0}),
    # A harder process: with the others all ways to learn alignment reach their ceiling.
    "sequences_hard": Version(
        SEQUENCES, "sequences, pauses and backgrounds", {"pauses": 2, "still_digits": 3}
    ),
}


def recipe(
    name: str,
    *,
    frames: int,
    size: int,
    patch: int,
    digits: int | None = None,
) -> BouncingRecipe:
    """The recipe of a named version of BouncingMNIST.

    Args:
        name: a version of BouncingMNIST in ``CATALOGUE``.
        frames: frames per clip.
        size: side of the canvas in pixels.
        patch: side of a digit in pixels.
        digits: digits per clip; None for as many as the version has, two unless its name says
            otherwise.

    Raises:
        ValueError: unknown name, or sizes that do not fit each other.
    """
    settings = _settings(name, BOUNCING)
    if digits is not None:
        settings["digits"] = digits
    return BouncingRecipe(**settings, frames=frames, size=size, patch=patch)


def sequence_recipe(
    name: str,
    *,
    frames: int,
    size: int,
    patch: int,
    jitter: float,
    warp: float,
) -> SequenceRecipe:
    """The recipe of a named version of the sequences.

    Args:
        name: a version of the sequences in ``CATALOGUE``.
        frames, size, patch, jitter, warp: see ``SequenceRecipe``; a version of steady pace keeps
            its own ``warp``.

    Raises:
        ValueError: unknown name, or settings that do not fit each other.
    """
    settings = {"warp": warp, **_settings(name, SEQUENCES)}
    return SequenceRecipe(frames=frames, size=size, patch=patch, jitter=jitter, **settings)


def versions(kind: str) -> list[str]:
    """The names in the catalogue that are of one kind."""
    return [name for name, version in CATALOGUE.items() if version.kind == kind]


def _settings(name: str, kind: str) -> dict:
    """A copy of a version's settings; ValueError if there is none of that name."""
    known = versions(kind)
    if name not in known:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(known)}")
    return dict(CATALOGUE[name].settings)
