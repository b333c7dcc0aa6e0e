"""The kinds of data sets that we render: ``bouncing`` and ``sequences``.

Imports nothing heavy; the renderers do, and are named here without being imported.
"""

from dataclasses import asdict

from vidrep.datasets.kind import DataSet, Key, Kind
from vidrep.datasets.recipes import (
    BOUNCING,
    CATALOGUE,
    SEQUENCES,
    BouncingRecipe,
    SequenceRecipe,
)

DIGIT_CLASSES = tuple(str(digit) for digit in range(10))
RENDERER = "vidrep.datasets.render:render_split"
_SIZES = {
    "size_px": Key("side of the square canvas in pixels", int, 8),
    "patch_px": Key("side of a digit in pixels", int, 4),
}


def _bouncing(name: str, title: str, entry: dict, config: dict) -> DataSet:
    """A version of BouncingMNIST."""
    settings = dict(CATALOGUE[entry["recipe"]].settings)
    for key in ("step", "digits"):
        if key in entry:
            settings[key] = entry[key]
    recipe = BouncingRecipe(
        **settings,
        frames=entry.get("frames", config["video"]["frames"]),
        size=entry.get("size_px", config["video"]["size_px"]),
        patch=entry.get("patch_px", config["video"]["patch_px"]),
    )
    return _data_set(
        name, BOUNCING, title, recipe, config, truths={"factors", "boxes", "flow"}, named_only=False
    )


def _sequences(name: str, title: str, entry: dict, config: dict) -> DataSet:
    """Videos of one process."""
    settings = {**config["sequences"], **CATALOGUE[entry["recipe"]].settings}
    for key in ("frames", "jitter", "warp"):
        if key in entry:
            settings[key] = entry[key]
    recipe = SequenceRecipe(
        frames=settings["frames"],
        size=entry.get("size_px", config["video"]["size_px"]),
        patch=entry.get("patch_px", config["video"]["patch_px"]),
        jitter=settings["jitter"],
        warp=settings["warp"],
    )
    truths = {"factors", "boxes", "flow", "phase"}
    return _data_set(name, SEQUENCES, title, recipe, config, truths=truths, named_only=True)


def _data_set(
    name: str,
    kind: str,
    title: str,
    recipe: BouncingRecipe | SequenceRecipe,
    config: dict,
    *,
    truths: set[str],
    named_only: bool,
) -> DataSet:
    """A data set of digits on a square canvas."""
    return DataSet(
        name=name,
        kind=kind,
        title=title,
        frames=recipe.frames,
        height=recipe.size,
        width=recipe.size,
        channels=1,
        classes=DIGIT_CLASSES,
        multi_label=True,
        truths=frozenset(truths),
        named_only=named_only,
        clips=dict(config["clips"]),
        recipe=asdict(recipe),
    )


BOUNCING_KIND = Kind(
    name=BOUNCING,
    keys={
        "frames": Key("frames per clip", int, 2),
        **_SIZES,
        "step": Key("movement per frame, share of the free range", float, 0.0, 1.0),
        "digits": Key("digits per clip", int, 1),
    },
    declare=_bouncing,
    recipe=BouncingRecipe,
    renderer=RENDERER,
    uses_digits=True,
    untrimmed=True,
)
SEQUENCES_KIND = Kind(
    name=SEQUENCES,
    keys={
        "frames": Key("frames per video", int, 8),
        **_SIZES,
        "jitter": Key("how far places vary, share of the free range", float, 0.0, 0.2),
        "warp": Key("how unsteady the pace is: standard deviation of its logarithm", float, 0.0),
    },
    declare=_sequences,
    recipe=SequenceRecipe,
    renderer=RENDERER,
    uses_digits=True,
)
