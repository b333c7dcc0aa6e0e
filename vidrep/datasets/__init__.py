"""Data sets: recipes for clips and their files.

``render(recipe("velocity_only", frames=16, size=64, patch=28), count=100, seed=1)`` gives clips
without any file.
"""

from collections.abc import Callable

import numpy as np

from vidrep.datasets import bouncing, sequences
from vidrep.datasets.bouncing import BouncingRecipe
from vidrep.datasets.sequences import SequenceRecipe
from vidrep.datasets.store import ClipFile, open_clips, write_clips
from vidrep.digits import DigitSource, load_digits
from vidrep.random_streams import stream

__all__ = [
    "RECIPES",
    "SEQUENCES",
    "BouncingRecipe",
    "ClipFile",
    "SequenceRecipe",
    "open_clips",
    "recipe",
    "render",
    "render_split",
    "sequence_recipe",
    "split_streams",
    "write_clips",
]

_VERSIONS = {
    "digits_only": {"class_velocity": False, "hide_digits": False},
    "velocity_only": {"class_velocity": True, "hide_digits": True},
    "digits_and_velocity": {"class_velocity": True, "hide_digits": False},
}
RECIPES = {
    **{name: {**version, "step": 0.1} for name, version in _VERSIONS.items()},
    **{f"{name}_slow": {**version, "step": 0.03} for name, version in _VERSIONS.items()},
    # Versions with another number of digits, for what a network trained on two makes of them.
    "one_digit": {**_VERSIONS["digits_only"], "step": 0.1, "digits": 1},
    "three_digits": {**_VERSIONS["digits_only"], "step": 0.1, "digits": 3},
}
# videos of one process, and what sets a version apart
SEQUENCES = {"sequences": {}, "sequences_unwarped": {"warp": 0.0}}
_RENDERERS = {BouncingRecipe: bouncing.render, SequenceRecipe: sequences.render}


def recipe(
    name: str, *, frames: int, size: int, patch: int, digits: int | None = None
) -> BouncingRecipe:
    """The recipe of a named version of BouncingMNIST.

    Args:
        name: a key of ``RECIPES``.
        frames: frames per clip.
        size: side of the canvas in pixels.
        patch: side of a digit in pixels.
        digits: digits per clip; None for as many as the version has, two unless its name says
            otherwise.

    Raises:
        ValueError: unknown name, or sizes that do not fit each other.
    """
    if name not in RECIPES:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(RECIPES)}")
    version = RECIPES[name] if digits is None else {**RECIPES[name], "digits": digits}
    return BouncingRecipe(**version, frames=frames, size=size, patch=patch)


def sequence_recipe(name: str, **settings) -> SequenceRecipe:
    """The recipe of a named version of the sequences; ``settings`` are the fields of
    ``SequenceRecipe``.

    Raises:
        ValueError: unknown name, or settings that do not fit each other.
    """
    if name not in SEQUENCES:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(SEQUENCES)}")
    return SequenceRecipe(**{**settings, **SEQUENCES[name]})


def split_streams(seed: int, split: str) -> Callable[[str], np.random.Generator]:
    """The random streams of one split, by purpose.

    They do not depend on the version: clip i of a split shows the same digits from the same start
    in the same direction in every version, so versions can be compared clip by clip.
    """
    return lambda purpose: stream(seed, "datasets", split, purpose)


def render_split(
    recipe: BouncingRecipe | SequenceRecipe, digits: DigitSource, split: str, count: int, seed: int
) -> dict:
    """Render one split with everything that is known about its clips: see ``bouncing.render`` and
    ``sequences.render``.

    The images are named by their place in the whole source: factor ``digit_image`` (n, k) indexes
    ``digits.images``.
    """
    images, labels = digits.split(split)
    rendered = _RENDERERS[type(recipe)](recipe, images, labels, count, split_streams(seed, split))
    rendered["factors"]["digit_image"] = digits.splits[split][
        rendered["factors"]["digit_image"]
    ].astype(np.int32)
    return rendered


def render(
    recipe: BouncingRecipe | SequenceRecipe,
    digits: DigitSource | None = None,
    *,
    split: str = "train",
    count: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Render clips in memory.

    Args:
        recipe: the version.
        digits: digit source with images as large as the recipe's patch; None takes scikit-learn's
            digits, resampled.
        split: train, validation or test; splits share neither digit images nor random streams.
        count: n, number of clips.
        seed: experiment seed.

    Returns:
        clips (n, T, H, W) uint8, labels (n, 10) uint8 multi-hot, and the factors: name to array
        with first axis n, ``boxes`` (n, T, k, 4) among them.
    """
    if digits is None:
        digits = load_digits({"kind": "sklearn"}, patch=recipe.patch, seed=seed)
    rendered = render_split(recipe, digits, split, count, seed)
    return (
        rendered["clips"],
        rendered["labels"],
        {**rendered["factors"], "boxes": rendered["boxes"]},
    )
