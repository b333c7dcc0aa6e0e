"""Fixtures that several rooms share: a tiny split of random clips, and the CPU in float32."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from vidrep import systems
from vidrep.training.device import Device
from vidrep.training.split import Split
from vidrep.training.targets import TARGETS

# Narrow systems that are trained by gradient steps; the others are fitted in closed form.
NARROW = sorted(
    name
    for name, entry in systems.catalogue().items()
    if entry["preset"] == "narrow" and any(systems.system(name).recipe["epochs"])
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that run Snakemake first, so that no worker ends alone with these minutes."""
    items.sort(key=lambda item: item.get_closest_marker("workflow") is None)


@pytest.fixture(scope="session")
def make_split() -> Callable[..., Split]:
    """Factory of splits of random clips and flow; a lit corner tells a clip's first label."""

    def make(
        count: int = 12,
        *,
        split: str = "test",
        frames: int = 8,
        side: int = 16,
        classes: int = 4,
        seed: int = 0,
        **options,
    ) -> Split:
        rng = np.random.default_rng([seed, count])
        shape = (
            (count, frames, side, side)
            if options.get("channels", 1) == 1
            else (count, frames, side, side, options["channels"])
        )
        first = rng.integers(classes, size=count)
        labels = np.zeros((count, classes), np.uint8)
        labels[np.arange(count), first] = 1
        if options.get("multi_label", True):
            labels[np.arange(count), rng.integers(classes, size=count)] = 1
        clips = rng.integers(100, size=shape, dtype=np.uint8)
        for clip, label in zip(clips, first, strict=True):
            clip[:, : side // 2, label * side // classes : (label + 1) * side // classes] = 255
        flow = rng.normal(size=(count, frames - 1, 2, side, side)).astype(np.float16)
        ids = [f"{split}/{i:06d}" for i in range(count)]
        flow_backward = torch.from_numpy(rng.normal(size=flow.shape).astype(np.float16))
        targets = {
            name: torch.from_numpy(rng.integers(2, size=(count, target.size)))
            for name, target in TARGETS.items()
        }
        multi_label = options.get("multi_label", True)
        return Split(
            torch.from_numpy(clips),
            torch.from_numpy(labels),
            torch.from_numpy(flow),
            multi_label,
            ids,
            flow_backward,
            targets,
        )

    return make


@pytest.fixture(scope="session")
def tiny_system() -> Callable[..., systems.System]:
    """Factory of systems: a catalogue entry at its tiny size, with further changes."""

    def make(name: str, **changes) -> systems.System:
        entry = {"name": name, **systems.catalogue()[name].get("tiny", {})}
        for key, value in changes.items():
            entry[key] = {**entry.get(key, {}), **value} if isinstance(value, dict) else value
        return systems.system(entry)

    return make


@pytest.fixture(scope="session")
def cpu() -> Device:
    """The CPU in float32."""
    return Device(torch.device("cpu"), "float32")


@pytest.fixture(params=NARROW)
def narrow(request) -> str:
    """Each narrow system of the catalogue in turn."""
    return request.param
