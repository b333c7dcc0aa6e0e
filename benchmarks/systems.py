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
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import torch

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
    batch |= {
        "clip": device.clip(clips),
        "flow": device.flow(flow),
        "flow_backward": device.flow(flow),
    }
    batch["labels"] = torch.nn.functional.one_hot(torch.arange(size) % CLASSES, CLASSES).to(
        device.device, torch.float32
    )
    return batch if channels_last else {name: value.contiguous() for name, value in batch.items()}


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
    """Seconds so far: of the wall once a CUDA device has done what it was given, of CPU time over
    threads on a CPU.
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
    layouts = [(best, True), (best, False), (plain, False)]
    forms = [
        Form(
            copy.deepcopy(objective),
            definition,
            device,
            random_batch(shape, batch, device, channels_last=last),
            channels_last=last,
        )
        for device, last in layouts
    ]
    totals = [0.0] * len(forms)
    epochs = 0
    for plan in forms[0].plans:
        if plan.epochs == 0:
            continue
        for form in forms:
            form.start(plan.name, plan.lr)
            form.step()  # the first one allocates
        times = [[form.step() for form in forms] for _ in range(steps)]
        epochs += plan.epochs
        for i, column in enumerate(zip(*times, strict=True)):
            totals[i] += plan.epochs * statistics.median(column)
    row = {
        "system": name,
        "peak_mb": peak_bytes(best) / 1e6,
        "infer_clips_per_s": inference(forms[0], plain, shape, batch, steps),
    }
    if epochs:
        row |= {
            "train_clips_per_s": batch * epochs / totals[0],
            "layout_ratio": totals[1] / totals[0],
            "total_ratio": totals[2] / totals[0],
        }
    return row


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
    """Seconds of one epoch of every training stage of a system on ``clips`` clips, on one
    thread.
    """
    device = choose(0, "auto", 1)
    chosen = system(name)
    shape = clip_shape(name)
    torch.manual_seed(0)
    form = Form(
        build(chosen.definition(), DataShape(shape, CLASSES, multi_label=True)),
        chosen.definition(),
        device,
        random_batch(shape, chosen.recipe["batch"], device, channels_last=True),
        channels_last=True,
    )
    started = time.perf_counter()
    for plan in form.plans:
        form.start(plan.name, plan.lr)
        for _ in range(clips // chosen.recipe["batch"] if plan.epochs else 0):
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
        for name, seconds in zip(
            names, pool.map(one_epoch, names, [clips] * len(names)), strict=True
        ):
            print(f"{name:40} {seconds:7.1f} s", flush=True)
    print(
        f"{len(names)} systems, one epoch of {clips:,} clips each, two at a time:"
        f" {time.perf_counter() - started:.0f} s"
    )


def main() -> None:
    """Read the command line, measure, print a Markdown table."""
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
    args = parser.parse_args()
    names = args.names or [
        name for name, entry in catalogue().items() if entry["preset"] == "narrow"
    ]
    if args.epoch:
        return epochs_of_all(names, args.epoch)
    if not args.json:
        print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
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
            print(
                "| "
                + " | ".join(
                    text.format(row[key]) if key in row else "" for key, text in COLUMNS.items()
                )
                + " |",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
