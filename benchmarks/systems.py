"""Speed, memory and size of the catalogue's systems.

    python benchmarks/systems.py                  every narrow preset on 16 x 20 x 20 grey clips
    python benchmarks/systems.py c3d_small --clip 1 16 64 64 --batch 16
    python benchmarks/systems.py --epoch 1000     one epoch of 1,000 clips of each, two at a time

Each system runs in a process of its own. Training steps of three forms of the same network
alternate, so that other load on the machine meets all alike: as vidrep trains (channels-last
layout, the precision asked for), the same precision in torch's default layout, and float32 in the
default layout. Medians over steps; a ratio above 1 means that vidrep's form is faster. On a CPU the
seconds are those of the process's own CPU time over its threads, so that other load on the machine
does not count.
"""

import argparse
import copy
import json
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import torch
from torch.nn import functional as F

from vidrep.listing import CLASSES, blank_batch, clip_shape, describe
from vidrep.objectives.base import DataShape
from vidrep.objectives.build import build
from vidrep.systems import catalogue, system
from vidrep.training.cost import peak_bytes
from vidrep.training.device import Device, choose
from vidrep.training.loop import stage_plans
from vidrep.training.optimisers import make_optimiser

COLUMNS = {
    "system": "{}",
    "parameters": "{:,}",
    "macs_per_clip": "{:,}",
    "train_clips_per_s": "{:.0f}",
    "infer_clips_per_s": "{:.0f}",
    "peak_mb": "{:.0f}",
    "layout_ratio": "{:.2f}",
    "total_ratio": "{:.2f}",
}


def random_batch(
    shape: tuple[int, ...], size: int, device: Device, *, channels_last: bool
) -> dict[str, torch.Tensor]:
    """Everything that a system may be fed, random and of the right shapes."""
    channels, frames, height, width = shape
    generator = torch.Generator().manual_seed(0)
    batch = {name: value.to(device.device) for name, value in blank_batch(shape, size).items()}
    clips = torch.randint(
        256, (size, frames, height, width, channels), dtype=torch.uint8, generator=generator
    )
    flow = torch.randn(size, frames - 1, 2, height, width, generator=generator).half()
    labels = F.one_hot(torch.arange(size) % CLASSES, CLASSES)
    batch["clip"] = device.clip(clips)
    batch["flow"] = device.flow(flow)
    batch["flow_backward"] = device.flow(flow)
    batch["labels"] = labels.to(device.device, torch.float32)
    if channels_last:
        return batch
    return {name: value.contiguous() for name, value in batch.items()}


class Form:
    """One form of a system, ready for training steps in its last stage."""

    def __init__(
        self, objective, definition: dict, device: Device, batch: dict, *, channels_last: bool
    ) -> None:
        self.objective = device.place(objective)
        self.device = device
        self.batch = batch
        if not channels_last:
            self.objective.to(memory_format=torch.contiguous_format)
        self.plans = stage_plans(objective, definition["recipe"])
        self.recipe = definition["recipe"]
        self.seconds = []

    def start(self, name: str, lr: float) -> None:
        """Begin a stage of the training with a new optimiser."""
        self.objective.start_stage(name)
        self.objective.prepare(name, [self.batch])
        trained = any(parameter.requires_grad for parameter in self.objective.parameters())
        self.optimiser = make_optimiser(self.objective, self.recipe, lr) if trained else None

    def step(self) -> float:
        """Seconds of one training step."""
        self.objective.train()
        started = clock(self.device)
        with self.device.autocast():
            loss = self.objective.loss(self.batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return clock(self.device) - started


def clock(device: Device) -> float:
    """Seconds so far.

    On a CUDA device those of the wall, once it has done what it was given; on a CPU those of CPU
    time over threads.
    """
    if device.device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()


def measure(
    name: str,
    shape: tuple[int, ...],
    batch: int,
    steps: int,
    threads: int,
    gpus: int,
    precision: str,
) -> dict:
    """One row of the table; the steps of all training stages count, weighted by their epochs."""
    best = choose(gpus, precision, threads)
    plain = choose(gpus, "float32", threads)
    definition = system(name).definition()
    torch.manual_seed(0)
    objective = build(definition, DataShape(shape, CLASSES, multi_label=True))
    forms = []
    for device, channels_last in ((best, True), (best, False), (plain, False)):
        clips = random_batch(shape, batch, device, channels_last=channels_last)
        form = Form(
            copy.deepcopy(objective), definition, device, clips, channels_last=channels_last
        )
        forms.append(form)
    epochs = sum(plan.epochs for plan in forms[0].plans)
    seconds = training_seconds(forms, steps)
    row = {
        "system": name,
        "peak_mb": peak_bytes(best) / 1e6,
        "infer_clips_per_s": inference(forms[0], plain, shape, batch, steps),
    }
    if epochs:
        own, default_layout, default = seconds
        row["train_clips_per_s"] = batch * epochs / own
        row["layout_ratio"] = default_layout / own
        row["total_ratio"] = default / own
    return row


def training_seconds(forms: list[Form], steps: int) -> list[float]:
    """Seconds that each form of a system takes for one step of each of its epochs.

    Args:
        forms: they take turns, step by step.
        steps: timed in each stage; the median counts, times the stage's epochs.
    """
    totals = [0.0] * len(forms)
    for plan in forms[0].plans:
        if plan.epochs == 0:
            continue
        for form in forms:
            form.start(plan.name, plan.lr)
            form.step()  # the first one allocates
        times = [[form.step() for form in forms] for _ in range(steps)]
        for i, seconds in enumerate(zip(*times, strict=True)):
            totals[i] += plan.epochs * statistics.median(seconds)
    return totals


@torch.no_grad()
def inference(form: Form, device: Device, shape: tuple[int, ...], batch: int, steps: int) -> float:
    """Clips embedded a second, in float32 as activations are computed."""
    form.objective.eval()
    clips = random_batch(shape, batch, device, channels_last=True)
    seconds = []
    for _ in range(steps + 1):
        started = clock(device)
        form.objective.embed(clips)
        seconds.append(clock(device) - started)
    return batch / statistics.median(seconds[1:])


def one_epoch(name: str, clips: int) -> float:
    """Seconds of one epoch of every training stage of a system on so many clips, on one thread."""
    device = choose(0, "auto", 1)
    chosen = system(name)
    shape = clip_shape(name)
    torch.manual_seed(0)
    objective = build(chosen.definition(), DataShape(shape, CLASSES, multi_label=True))
    batch_size = chosen.recipe["batch"]
    batch = random_batch(shape, batch_size, device, channels_last=True)
    form = Form(objective, chosen.definition(), device, batch, channels_last=True)
    started = time.perf_counter()
    for plan in form.plans:
        form.start(plan.name, plan.lr)
        if plan.epochs == 0:
            continue
        for _ in range(clips // batch_size):
            form.step()
    return time.perf_counter() - started


def apart(function, *arguments):
    """Call a function in a fresh process: its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def epochs_of_all(names: list[str], clips: int) -> None:
    """One epoch of each system, two at a time."""
    started = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        measured = pool.map(one_epoch, names, repeat(clips))
        for name, seconds in zip(names, measured, strict=True):
            print(f"{name:40} {seconds:7.1f} s", flush=True)
    print(
        f"{len(names)} systems, one epoch of {clips:,} clips each, two at a time:"
        f" {time.perf_counter() - started:.0f} s"
    )


def read_command_line() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="SYSTEM",
        help="systems of the catalogue (default: all narrow presets)",
    )
    parser.add_argument(
        "--clip",
        nargs=4,
        type=int,
        metavar=("C", "T", "H", "W"),
        help="size of the clips (default: the preset's)",
    )
    parser.add_argument("--batch", type=int, default=32, help="clips per step (default: 32)")
    parser.add_argument("--steps", type=int, default=5, help="timed steps (default: 5)")
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads (default: 1, as the pipeline trains)"
    )
    parser.add_argument(
        "--precision", default="auto", help="auto, float32 or bfloat16 (default: auto)"
    )
    parser.add_argument(
        "--gpus", type=int, default=0, help="1: measure on the first CUDA device (default: 0)"
    )
    parser.add_argument(
        "--epoch",
        type=int,
        metavar="CLIPS",
        help="instead: time one epoch of so many clips, two systems at a time",
    )
    parser.add_argument(
        "--json", action="store_true", help="a line of JSON for each system instead of the table"
    )
    return parser.parse_args()


def main() -> None:
    """Read the command line, measure, print a Markdown table."""
    args = read_command_line()
    names = args.names or [
        name for name, entry in catalogue().items() if entry["preset"] == "narrow"
    ]
    if args.epoch:
        epochs_of_all(names, args.epoch)
        return
    if not args.json:
        print(f"| {' | '.join(COLUMNS)} |", flush=True)
        print("|---" * len(COLUMNS) + "|", flush=True)
    for name in names:
        shape = tuple(args.clip or clip_shape(name))
        row = describe(name) | apart(
            measure,
            name,
            shape,
            args.batch,
            args.steps,
            args.threads,
            args.gpus,
            args.precision,
        )
        if args.json:
            print(json.dumps({key: row.get(key) for key in COLUMNS}), flush=True)
        else:
            cells = [text.format(row[key]) if key in row else "" for key, text in COLUMNS.items()]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
