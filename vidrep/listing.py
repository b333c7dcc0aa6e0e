"""The catalogue with the size and cost of every system, found without giving a tensor memory."""

import torch

from vidrep.multiply_adds import MultiplyAdds
from vidrep.objectives.base import DataShape, Objective
from vidrep.objectives.build import build
from vidrep.systems import System, catalogue, system
from vidrep.training.targets import TARGETS

CLASSES = 10
# (C, T, H, W) by preset
CLIPS = {
    "reference": (1, 16, 64, 64),
    "narrow": (1, 16, 20, 20),
    "control": (1, 16, 20, 20),
}


def clip_shape(name: str) -> tuple[int, int, int, int]:
    """The clips that a system of the catalogue is described for.

    Its own ``clip`` key, else the usual ones of its preset.
    """
    entry = catalogue()[name]
    return tuple(entry.get("clip", CLIPS[entry["preset"]]))


def blank_batch(
    shape: tuple[int, int, int, int], clips: int = 1, classes: int = CLASSES
) -> dict[str, torch.Tensor]:
    """A batch of all that a system may be fed.

    Row numbers, and zeros as clips (B, C, T, H, W), flow, labels, targets.
    """
    channels, frames, height, width = shape
    flow = torch.zeros(clips, 2, frames - 1, height, width)
    return {
        "clip": torch.zeros(clips, channels, frames, height, width),
        "flow": flow,
        "flow_backward": flow,
        "labels": torch.zeros(clips, classes),
        "row": torch.arange(clips),
        **{name: torch.zeros(clips, target.size) for name, target in TARGETS.items()},
    }


def build_on_meta(chosen: System, shape: tuple[int, int, int, int]) -> Objective:
    """A system for two-label clips of ``shape``, on the meta device: shapes without memory."""
    with torch.device("meta"):
        return build(chosen.definition(), DataShape(shape, CLASSES, multi_label=True))


@torch.no_grad()
def describe(name: str) -> dict:
    """One system of the catalogue as plain data.

    Returns:
        Its definition, family, preset and citation; ``clip``, the (C, T, H, W) it is measured for;
        ``parameters`` of the whole system with heads and decoders; ``macs_per_clip``, multiply-adds
        of convolutions and matrix products in embedding one clip (every frame or stack that
        evaluation samples).
    """
    chosen = system(name)
    shape = clip_shape(name)
    objective = build_on_meta(chosen, shape).eval()
    with torch.device("meta"), MultiplyAdds() as counter:
        objective.embed(blank_batch(shape))
    return {
        **chosen.definition(),
        "family": chosen.family,
        "preset": chosen.preset,
        "citation": chosen.citation,
        "clip": list(shape),
        "parameters": sum(parameter.numel() for parameter in objective.parameters()),
        "macs_per_clip": counter.count,
    }


COLUMNS_OF_SYSTEMS = (
    "name",
    "preset",
    "family",
    "objective",
    "inputs",
    "clip (C, T, H, W)",
    "parameters",
    "MACs/clip",
    "citation",
)


def table(systems: list[dict]) -> str:
    """Systems, as ``describe`` gives them, as aligned text."""
    rows = [COLUMNS_OF_SYSTEMS, *map(_cells, systems)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _cells(system: dict) -> tuple[str, ...]:
    """The cells of ``COLUMNS_OF_SYSTEMS``."""
    return (
        system["name"],
        system["preset"],
        system["family"],
        system["objective"],
        "+".join(system["inputs"]),
        " x ".join(map(str, system["clip"])),
        f"{system['parameters']:,}".rjust(11),
        f"{system['macs_per_clip']:,}".rjust(15),
        system["citation"],
    )
