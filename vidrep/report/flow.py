"""The true flow of some clips, and its estimates."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vidrep.datasets.store import open_clips
from vidrep.flow.colour import colour_flow
from vidrep.flow.store import open_flow
from vidrep.report.strips import FRAME_INCHES, longest_px, plot_strip, plot_wheel
from vidrep.report.style import new_figure
from vidrep.result_tables import read_table

_SHOWN = 2  # clips


def draw(
    errors: list[Path],
    clips: Path,
    flow: list[Path],
    titles: dict[str, str],
    dataset: str,
) -> Figure:
    """The figure of one data set; see its declaration."""
    with open_clips(clips) as file:
        shown = file.clips[:_SHOWN]
    flows = {store.stem: open_flow(store).flow[:_SHOWN] for store in flow}
    known_errors = flow_errors(errors, dataset, clips.stem)
    return flow_figure(shown, flows, titles[dataset], known_errors)


def flow_errors(paths: list[Path], dataset: str, split: str) -> dict[str, float]:
    """Mean end-point error in pixels of each flow method on one split."""
    errors = {}
    for path in paths:
        table = read_table(path, ("dataset", "split", "method", "epe_px"))
        rows = table[(table["dataset"] == dataset) & (table["split"] == split)]
        errors |= dict(zip(rows["method"], rows["epe_px"], strict=True))
    return errors


def flow_figure(
    clips: np.ndarray,
    flows: dict[str, np.ndarray],
    dataset: str,
    errors: dict[str, float],
) -> Figure:
    """Clips, their true flow and its estimates, in the colours of the wheel.

    Args:
        clips: the first clips, (k, T, H, W[, 3]).
        flows: method to their flow (k, T-1, 2, H, W), in pixels; the truth, or else the first one,
            sets the scale.
        dataset: for the title.
        errors: method to mean end-point error in pixels over the whole split; "zero" for that of no
            flow at all.
    """
    methods = sorted(flows, key=lambda method: method != "true")
    longest = longest_px(flows[methods[0]])
    count, frames = clips.shape[:2]
    rows = count * (1 + len(flows))
    note = (
        "Flow at t: displacement from frame t to t+1; all pictures share the scale of the wheel. "
        "EPE: mean end-point error on the moving pixels of all test clips"
    )
    note += f"; of no flow at all {errors['zero']:.2f} px." if "zero" in errors else "."
    height = 1.0 + rows * (FRAME_INCHES + 0.14)
    width = 3.0 + FRAME_INCHES * 1.03 * frames
    shown = "truth and estimates" if "true" in flows else "estimates"
    title = f"Optical flow on {dataset}: {shown}"
    figure = new_figure(height, width=width, title=title, note=note)
    left, right = figure.subfigures(1, 2, width_ratios=[width - 1.3, 1.3])
    panels = iter(left.subplots(rows, 1, squeeze=False)[:, 0])
    for i in range(count):
        plot_strip(clips[i], next(panels), label=f"clip {i}", count=frames, numbers=False)
        for method in methods:
            error = f"\nEPE {errors[method]:.2f} px" if method in errors else ""
            pictures = colour_flow(flows[method][i], longest)
            last = method == methods[-1]
            plot_strip(pictures, next(panels), label=f"{method}{error}", count=frames, numbers=last)
    plot_wheel(right.subplots(), longest)
    return figure
