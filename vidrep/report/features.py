"""What an LSTM encoder and its decoders learn: weights as pictures, predictions beyond the clip."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vidrep.report.naming import run_title
from vidrep.report.strips import plot_strip
from vidrep.report.style import GREY, INK, new_figure
from vidrep.splits import SplitFiles
from vidrep.training.device import choose
from vidrep.training.run import load_run
from vidrep.training.split import load_split

# the order in which weights lie in the LSTM
GATES = ("input gate", "forget gate", "candidate", "output gate")
TILES = 200
COLUMNS = 25
CLIPS = 3
STEPS = 100
EVERY = 10
MEASURED = 100  # clips that the energy of frame differences is averaged over
_GAP = 1  # pixels between tiles
_STILL = 1e-8


@dataclass(frozen=True)
class Rollouts:
    """Predictions of ``STEPS`` frames.

    Attributes:
        strips: name to (k, frames, H, W[, 3]) uint8: the last observed frame, then frames ``EVERY``
            apart.
        energies: name to the energy of the differences of neighbouring frames, (steps - 1,).
        data_energy: that of the data, a mean over clips and frames.
        last: number of the last observed frame.
    """

    strips: dict[str, np.ndarray]
    energies: dict[str, np.ndarray]
    data_energy: float
    last: int


def draw(
    trained: list[Path],
    untrained: list[Path],
    test: Path,
    titles: dict[str, str],
    dataset: str,
    system: str,
) -> Figure:
    """The figure of one run; see its declaration."""
    device = choose(0, "float32")
    network = load_run(trained[0].parent, device)[0]
    baseline = load_run(untrained[0].parent, device)[0]
    rollouts = None
    if "prediction" in network.decoders:
        clips = load_split(SplitFiles(test), MEASURED).batch(slice(None), device)
        rollouts = roll_out({"trained": network, "untrained": baseline}, clips)
    return features_figure(weight_pictures(network), rollouts, run_title(dataset, system, titles))


def weight_pictures(objective) -> dict[str, np.ndarray]:
    """Input weights of the first layer by gate and output weights of each decoder.

    Args:
        objective: ``LSTMComposite`` with an LSTM encoder on pixels.

    Returns:
        Title -> (k, C, H, W): the weights of the at most ``TILES`` units with the largest L2 norm,
            strongest first.
    """
    weights = {}  # each (units, C * H * W)
    gates = objective.model.cells[0].weight_input.detach().chunk(4)
    for gate, rows in zip(GATES, gates, strict=True):
        weights[f"input weights, {gate}"] = rows
    for name, decoder in objective.decoders.items():
        weights[f"output weights, {name}"] = decoder.readout.weight.detach().T
    channels, _, height, width = objective.shape.clip
    pictures = {}
    for title, rows in weights.items():
        order = rows.norm(dim=1).argsort(descending=True)
        strongest = rows[order[:TILES]]
        pictures[title] = strongest.unflatten(1, (channels, height, width)).cpu().numpy()
    return pictures


def frame_energy(frames: torch.Tensor) -> torch.Tensor:
    """Squared differences of neighbouring frames: (B, C, T, H, W) -> sums (B, T - 1)."""
    return frames.diff(dim=2).square().sum((1, 3, 4))


@torch.no_grad()
def roll_out(objectives: dict[str, object], batch: dict[str, torch.Tensor]) -> Rollouts:
    """Let each objective predict ``STEPS`` frames.

    Args:
        objectives: name to an objective with ``rollout``; all observe equally many frames.
        batch: clips, the first ``CLIPS`` of which are shown.
    """
    observed = next(iter(objectives.values())).observed
    last = batch["clip"][:CLIPS, :, observed - 1 : observed]
    strips = {}
    energies = {}
    for name, objective in objectives.items():
        predicted = objective.rollout(batch, STEPS)
        chosen = predicted[:CLIPS, :, [0, *range(EVERY - 1, STEPS, EVERY)]]
        strips[name] = _as_pictures(torch.cat([last, chosen], dim=2))
        energies[name] = frame_energy(predicted).mean(0).numpy()
    data_energy = float(frame_energy(batch["clip"]).mean())
    return Rollouts(strips, energies, data_energy, last=observed - 1)


def _as_pictures(frames: torch.Tensor) -> np.ndarray:
    """(B, C, T, H, W) in [0, 1] -> (B, T, H, W) or (B, T, H, W, 3) uint8."""
    pictures = frames.mul(255).round().byte().permute(0, 2, 3, 4, 1).numpy()
    return pictures[..., 0] if pictures.shape[-1] == 1 else pictures


def mosaic(weights: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """Weights (k, C, H, W) as tiles in rows: (height, width, 3) in [0, 1].

    Weights of 0 are middle grey, and white lies between tiles.
    All tiles share a scale: black and white stand for the 99.5th percentile of the weights' size.
    """
    count, channels, height, width = weights.shape
    scale = max(float(np.percentile(np.abs(weights), 99.5)), 1e-12)
    pictures = np.clip(0.5 + 0.5 * weights / scale, 0, 1).transpose(0, 2, 3, 1)  # (k, H, W, C)
    rows = -(-count // columns)
    tile_height = height + _GAP
    tile_width = width + _GAP
    tiles = np.ones((rows * columns, tile_height, tile_width, 3))
    tiles[:count, :height, :width] = pictures if channels == 3 else pictures.mean(-1, keepdims=True)
    grid = tiles.reshape(rows, columns, tile_height, tile_width, 3).swapaxes(1, 2)
    picture = grid.reshape(rows * tile_height, columns * tile_width, 3)
    return picture[:-_GAP, :-_GAP]


def features_figure(weights: dict[str, np.ndarray], rollouts: Rollouts | None, run: str) -> Figure:
    """Weights as tiles, and below them what is predicted far beyond the clip, if anything.

    Args:
        weights: of ``weight_pictures``.
        rollouts: of ``roll_out``; None for a run that predicts nothing.
        run: for the title.
    """
    shown = len(next(iter(weights.values())))
    note = (
        f"Tiles: the {shown} units with the largest L2 norm, strongest first; middle grey is 0,"
        " black and white are the 99.5th percentile of each panel's weights. Layer 1 of the"
        " encoder, top layer of the decoders."
    )
    lines = -(-len(weights) // 2)
    heights = [2.0 * lines]
    if rollouts:
        heights.append(2.9)
    figure = new_figure(0.9 + sum(heights), title=f"Features learnt by {run}", note=note)
    parts = np.atleast_1d(figure.subfigures(len(heights), 1, height_ratios=heights))
    panels = parts[0].subplots(lines, 2, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (title, tiles) in zip(panels, weights.items(), strict=False):
        axes.imshow(mosaic(tiles))
        axes.set_title(title, loc="left")
    if rollouts:
        draw_rollouts(parts[1], rollouts)
    return figure


def draw_rollouts(part, rollouts: Rollouts) -> None:
    """Strips of predicted frames on the left, the energy of their differences on the right."""
    left, right = part.subfigures(1, 2, width_ratios=[2, 1])
    lines = [(name, strip) for name, strips in rollouts.strips.items() for strip in strips]
    last = rollouts.last
    numbers = [last, last + 1, *range(last + EVERY, last + STEPS + 1, EVERY)]
    panels = left.subplots(len(lines), 1)
    for place, (axes, (name, strip)) in enumerate(zip(panels, lines, strict=True)):
        plot_strip(strip, axes, label=name if place % CLIPS == 0 else "")
        ticks = axes.get_xticks()
        axes.set_xticks(ticks, numbers if place == len(lines) - 1 else [])
    left.suptitle(
        f"frame {last}, the last one seen, and the prediction (every {EVERY}th frame)",
        fontsize=8.5,
    )
    plot_energy(right.subplots(), rollouts)


def plot_energy(axes: Axes, rollouts: Rollouts) -> Axes:
    """Energy of the differences of neighbouring predicted frames, and that of the data."""
    # a logarithmic axis has no place for pictures that stand still
    floor = _STILL * rollouts.data_energy
    dashes = ("-", (0, (3, 1.2)))
    for (name, energy), dash in zip(rollouts.energies.items(), dashes, strict=False):
        frames = rollouts.last + 2 + np.arange(len(energy))
        axes.plot(frames, np.maximum(energy, floor), color=INK, ls=dash, label=name)
    axes.axhline(rollouts.data_energy, color=GREY, lw=0.8, label="data")
    axes.set(yscale="log", xlabel="frame", ylabel="squared difference to the frame before")
    axes.legend(loc="best")
    return axes
