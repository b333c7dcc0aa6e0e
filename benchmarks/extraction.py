"""Extraction against the bare forward pass: at what share of its speed are activations stored?

    python benchmarks/extraction.py                          every narrow preset
    python benchmarks/extraction.py c3d_narrow --clips 600

Random clips of the sizes that the catalogue describes presets for, one thread. ``embed`` is the
forward pass of the model alone, ``score`` that of the objective with its losses and decoders, which
extraction needs for the scores; ``extract`` also pools and stores all layers. Passes alternate; CPU
seconds of the process, medians.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from vidrep.activations.extract import extract_run
from vidrep.listing import CLASSES, clip_shape
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.systems import catalogue, system
from vidrep.training.device import choose
from vidrep.training.split import Split

POLICY = [4, 2, 2]  # the default experiment's
BATCH = 50
REPEATS = 5


def random_split(shape: tuple[int, int, int, int], count: int) -> Split:
    """Clips (C, T, H, W) of noise with flow and labels."""
    channels, frames, height, width = shape
    generator = torch.Generator().manual_seed(0)
    size = (count, frames, height, width) + ((channels,) if channels > 1 else ())
    flow = torch.randn(count, frames - 1, 2, height, width, generator=generator).half()
    return Split(
        clips=torch.randint(256, size, dtype=torch.uint8, generator=generator),
        labels=torch.eye(CLASSES, dtype=torch.uint8)[torch.arange(count) % CLASSES],
        flow=flow,
        flow_backward=flow,
        multi_label=True,
        ids=[f"noise/test/{i:06d}" for i in range(count)],
    )


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds that some work takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(name: str, count: int, folder: Path) -> dict[str, float]:
    """Median CPU seconds of the passes of one system over ``count`` clips, twice."""
    chosen = system(name)
    shape = clip_shape(name)
    device = choose(0, "float32", 1)
    torch.manual_seed(0)
    objective = build(chosen.definition(), DataShape(shape, CLASSES, multi_label=True)).eval()
    split = random_split(shape, count)

    @torch.no_grad()
    def passed(function: Callable) -> None:
        for _ in range(2):
            for batch in split.batches(BATCH, device):
                function(batch)

    def extract() -> None:
        options = {"rows": count, "policy": POLICY, "dtype": "float16", "device": device}
        extract_run(objective, split, split, folder / "run.zarr.zip", {}, **options)

    passes = {
        "embed": lambda: passed(objective.embed),
        "score": lambda: passed(objective.score),
        "extract": extract,
    }
    taken: dict[str, list[float]] = {key: [] for key in passes}
    for repeat in range(REPEATS + 1):
        for key, work in passes.items():
            seconds = cpu_seconds(work)
            if repeat:  # the first one warms up
                taken[key].append(seconds)
    return {key: statistics.median(values) for key, values in taken.items()}


def main() -> None:
    """Read the command line, measure each system, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("systems", nargs="*", help="names of the catalogue (default: narrow ones)")
    parser.add_argument("--clips", type=int, default=300, help="clips of each of two splits")
    args = parser.parse_args()
    narrow = [name for name, entry in catalogue().items() if entry["preset"] == "narrow"]
    print("| system | embed / s | score / s | extract / s | embed / extract | score / extract |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.systems or narrow:
            found = measure(name, args.clips, Path(folder))
            embed, score, extract = (found[key] for key in ("embed", "score", "extract"))
            seconds = f"{embed:.2f} | {score:.2f} | {extract:.2f}"
            ratios = f"{embed / extract:.2f} | {score / extract:.2f}"
            print(f"| {name} | {seconds} | {ratios} |", flush=True)


if __name__ == "__main__":
    main()
