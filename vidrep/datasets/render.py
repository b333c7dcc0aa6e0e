"""Render clips of any recipe.

``render(recipe("velocity_only", frames=16, size=64, patch=28), count=100, seed=1)`` gives clips
without any file.
"""

from collections.abc import Callable

import numpy as np

from vidrep.datasets import bouncing, sequences
from vidrep.datasets.recipes import BouncingRecipe, SequenceRecipe
from vidrep.digits.source import DigitSource, load_digits
from vidrep.random_streams import stream

_RENDERERS = {BouncingRecipe: bouncing.render, SequenceRecipe: sequences.render}


def split_streams(
    seed: int, split: str, epoch: int | None = None
) -> Callable[[str], np.random.Generator]:
    """The random streams of one split, or of new clips in an epoch of training, by purpose.

    They do not depend on the version: clip i of a split shows the same digits from the same start
    in the same direction in every version, so versions can be compared clip by clip.
    """
    name = ("datasets", split) if epoch is None else ("datasets", split, "epoch", epoch)
    return lambda purpose: stream(seed, *name, purpose)


def render_split(
    recipe: BouncingRecipe | SequenceRecipe,
    digits: DigitSource,
    split: str,
    count: int,
    seed: int,
    *,
    epoch: int | None = None,
) -> dict:
    """Render one split with everything that is known about its clips.

    With an ``epoch`` they are new clips of that epoch of training, other than those of any other.

    See ``bouncing.render`` and ``sequences.render``. Here the images are named by their place in
    the whole source: factor ``digit_image`` (n, k) indexes ``digits.images``.
    """
    images, labels = digits.split(split)
    render_clips = _RENDERERS[type(recipe)]
    rendered = render_clips(recipe, images, labels, count, split_streams(seed, split, epoch))
    factors = rendered["factors"]
    factors["digit_image"] = digits.splits[split][factors["digit_image"]].astype(np.int32)
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
    factors = {**rendered["factors"], "boxes": rendered["boxes"]}
    return rendered["clips"], rendered["labels"], factors
