"""The kinds of data sets that we render: ``bouncing`` and ``sequences``.

Imports nothing heavy; the renderers do, and are named here without being imported.
"""

from dataclasses import asdict, replace

from vidrep.datasets.kind import DataSet, Key, Kind
from vidrep.datasets.recipes import (
    BOUNCING,
    SEQUENCES,
    BouncingRecipe,
    SequenceRecipe,
    recipe,
    sequence_recipe,
)

DIGIT_CLASSES = tuple(str(digit) for digit in range(10))
RENDERER = "vidrep.datasets.render:render_split"
_SIZES = {
    "size_px": Key("side of the square canvas in pixels", int, 8),
    "patch_px": Key("side of a digit in pixels", int, 4),
}


def _bouncing(name: str, title: str, entry: dict, config: dict) -> DataSet:
    """A version of BouncingMNIST."""
    video = config["video"]
    made = recipe(
        entry["recipe"],
        frames=entry.get("frames", video["frames"]),
        size=entry.get("size_px", video["size_px"]),
        patch=entry.get("patch_px", video["patch_px"]),
        digits=entry.get("digits"),
    )
    if "step" in entry:
        made = replace(made, step=entry["step"])
    truths = {"factors", "boxes", "flow", "motion"}
    return _data_set(name, BOUNCING, title, made, config, truths=truths, named_only=False)


def _sequences(name: str, title: str, entry: dict, config: dict) -> DataSet:
    """Videos of one process."""
    video = config["video"]
    usual = config["sequences"]
    made = sequence_recipe(
        entry["recipe"],
        frames=entry.get("frames", usual["frames"]),
        size=entry.get("size_px", video["size_px"]),
        patch=entry.get("patch_px", video["patch_px"]),
        jitter=entry.get("jitter", usual["jitter"]),
        warp=usual["warp"],
    )
    if "warp" in entry:
        made = replace(made, warp=entry["warp"])
    truths = {"factors", "boxes", "flow", "phase"}
    return _data_set(name, SEQUENCES, title, made, config, truths=truths, named_only=True)


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
