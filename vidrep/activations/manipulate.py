"""Test clips whose time is broken: what a run still scores on them tells what it owes to motion.

* ``shuffled``: the frames in another random order for each clip, never their own;
* ``reversed``: the last frame first;
* ``frozen``: the middle frame at every time;
* ``one_frame``: the middle frame at its time, all others black.

Systems that are fed flow get that of the manipulated clip: exact flow of the patches' new places in
time, so zero where the frame stays the same or there is none to go to; estimates from the
manipulated frames.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vidrep.activations.scores import scores_of_clips
from vidrep.clip_scores import Scores
from vidrep.datasets.store import open_clips
from vidrep.flow.methods import flow_of_clips, needed_arrays
from vidrep.random_streams import stream
from vidrep.splits import SplitFiles
from vidrep.training.device import Device
from vidrep.training.rows import Rows
from vidrep.training.split import Split, load_split


def _shuffled(clips: int, frames: int, seed: int) -> np.ndarray:
    drawn = stream(seed, "controls", "shuffled").random((clips, frames))
    order = np.argsort(drawn, axis=1)
    own = np.arange(frames)
    unchanged = (order == own).all(1)
    order[unchanged] = np.roll(own, 1)
    return order


def _reversed(clips: int, frames: int, seed: int) -> np.ndarray:
    return np.tile(np.arange(frames)[::-1], (clips, 1))


def _frozen(clips: int, frames: int, seed: int) -> np.ndarray:
    return np.full((clips, frames), frames // 2)


ORDERS = {"shuffled": _shuffled, "reversed": _reversed, "frozen": _frozen, "one_frame": _frozen}


def frame_order(control: str, clips: int, frames: int, seed: int) -> np.ndarray:
    """Which of its frames a clip shows at each time.

    That of ``one_frame`` counts at the middle time alone, where the others are black.

    Args:
        control: a key of ``ORDERS``.
        clips: n.
        frames: T, at least 2; the middle frame is frame ``T // 2``.
        seed: the experiment's; clip i has the same order in every version of the data set.

    Returns:
        (n, T) int.

    Raises:
        ValueError: unknown control.
    """
    if control not in ORDERS:
        raise ValueError(f"unknown control {control!r}: choose one of {', '.join(ORDERS)}")
    return ORDERS[control](clips, frames, seed)


def load_manipulated(
    clips_file: str | Path,
    control: str,
    *,
    flows: dict[str, str],
    seed: int,
    targets: Sequence[str] = (),
) -> Split:
    """All clips of a data set file, manipulated, with the flow that belongs to them.

    Args:
        clips_file: the .h5 file.
        control: a key of ``ORDERS``.
        flows: the method of each flow input, see ``vidrep.systems.flow_inputs``.
        seed: the experiment's.
        targets: names of further targets, see ``vidrep.training.targets``.

    Raises:
        ValueError: unknown control or flow method, or a file without what the method needs.
    """
    split = load_split(SplitFiles(clips_file), targets=targets)
    count, frames = split.clips.shape[:2]
    order = frame_order(control, count, frames, seed)
    alone = control == "one_frame"
    if isinstance(split.clips, Rows):
        return _manipulated_when_read(split, order, alone, flows)
    each = np.arange(count)[:, None]
    clips = _reordered(split.clips.numpy(), order, alone)
    needed = set().union(*(needed_arrays(method) for method in flows.values()))
    with open_clips(clips_file) as file:
        arrays = {name: file.extras[name][:] for name in needed & set(file.extras)}
    if "corners" in arrays:
        arrays["corners"] = arrays["corners"][each, order]
    fields = {}
    for name, method in flows.items():
        fields[name] = torch.from_numpy(flow_of_clips(method, clips, **arrays))
    return replace(split, clips=torch.from_numpy(clips), **fields)


def _reordered(clips: np.ndarray, order: np.ndarray, alone: bool) -> np.ndarray:
    """Clips (n, T, ...) with their frames in an order (n, T); only the middle one if ``alone``."""
    each = np.arange(len(clips))[:, None]
    clips = clips[each, order]
    if alone:
        frames = clips.shape[1]
        clips[:, np.arange(frames) != frames // 2] = 0
    return clips


def _manipulated_when_read(
    split: Split, order: np.ndarray, alone: bool, flows: dict[str, str]
) -> Split:
    """Clips of a file, manipulated batch by batch, with estimates of their flow."""
    stored = split.clips

    def read(places: np.ndarray) -> np.ndarray:
        return _reordered(stored.read(places), order[places], alone)

    fields = {}
    shape = (len(stored), stored.shape[1] - 1, 2, *stored.shape[2:4])
    for name, method in flows.items():
        # of this method, whichever the loop comes to later
        def estimate(places: np.ndarray, method: str = method) -> np.ndarray:
            return flow_of_clips(method, read(places))

        fields[name] = Rows(shape, estimate)
    return replace(split, clips=Rows(stored.shape, read), **fields)


def control_scores(
    objective,
    clips_file: str | Path,
    controls: Iterable[str],
    *,
    flows: dict[str, str],
    seed: int,
    targets: Sequence[str] = (),
    device: Device,
) -> dict[str, Scores]:
    """Each score of a run for every test clip manipulated, by split ``test_<control>``.

    Args:
        objective: the run.
        clips_file: test clips of its own data set.
        controls: keys of ``ORDERS``.
        flows, seed, targets: as for ``load_manipulated``.
        device: where to compute.
    """
    found = {}
    for control in controls:
        split = load_manipulated(clips_file, control, flows=flows, seed=seed, targets=targets)
        found[f"test_{control}"] = scores_of_clips(objective, split, device)
    return found
