"""A split in memory, cut into batches on the device."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidrep.datasets.store import open_clips
from vidrep.flow.store import open_flow
from vidrep.objectives.base import DataShape
from vidrep.splits import SplitFiles
from vidrep.training.device import Device
from vidrep.training.targets import make_target


@dataclass
class Split:
    """Clips of one split as they lie on disk; ``batch`` turns some of them into what networks take.

    Attributes:
        clips: (n, T, H, W) or (n, T, H, W, C) uint8.
        labels: (n, classes) uint8 multi-hot.
        flow: (n, T-1, 2, H, W) float16 in pixels, or None.
        multi_label: may a clip carry several labels?
        ids: names of the clips, see ``vidrep.datasets.store.clip_ids``.
        flow_backward: flow from frame t+1 to t, the shape of ``flow``, or None.
        targets: further targets by name, (n, classes) uint8 multi-hot; see
            ``vidrep.training.targets``.
        new_clips: makes the clips of an epoch where the data set is endless, else None; see
            ``vidrep.training.endless``.
    """

    clips: Tensor
    labels: Tensor
    flow: Tensor | None
    multi_label: bool
    ids: list[str]
    flow_backward: Tensor | None = None
    targets: dict[str, Tensor] = field(default_factory=dict)
    new_clips: Callable[[int], "Split"] | None = None

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def shape(self) -> DataShape:
        """What a network must know of this data."""
        frames, height, width = self.clips.shape[1:4]
        channels = self.clips.shape[4] if self.clips.ndim == 5 else 1
        return DataShape((channels, frames, height, width), self.labels.shape[1], self.multi_label)

    def batch(self, index: Tensor | slice, device: Device) -> dict[str, Tensor]:
        """Some clips as networks and objectives take them.

        Returns:
            ``clip`` (B, C, T, H, W) in [0, 1], ``labels`` (B, classes) float 0/1 and ``row`` (B,),
            the place of each clip in the split; where the split has them ``flow`` and
            ``flow_backward`` (B, 2, T-1, H, W), and targets by name (B, classes).
        """
        rows = torch.arange(len(self), device=self.clips.device)
        batch = {
            "clip": device.clip(self.clips[index]),
            "labels": self.labels[index].to(device.device, torch.float32),
            "row": rows[index].to(device.device),
        }
        if self.flow is not None:
            batch["flow"] = device.flow(self.flow[index])
        if self.flow_backward is not None:
            batch["flow_backward"] = device.flow(self.flow_backward[index])
        for name, target in self.targets.items():
            batch[name] = target[index].to(device.device, torch.float32)
        return batch

    def batches(self, size: int, device: Device) -> Iterator[dict[str, Tensor]]:
        """All clips in order, ``size`` at a time."""
        for i in range(0, len(self), size):
            yield self.batch(slice(i, i + size), device)

    def epoch(self, number: int) -> "Split":
        """What is trained on in an epoch: these clips, or new ones of an endless data set."""
        return self if self.new_clips is None else self.new_clips(number)

    @property
    def tensors(self) -> list[Tensor]:
        """Everything that batches are cut from, in a fixed order."""
        given = (self.clips, self.labels, self.flow, self.flow_backward, *self.targets.values())
        return [tensor for tensor in given if tensor is not None]

    def move(self, device: Device) -> "Split":
        """This split, resident on a CUDA device if it fits into half of its free memory."""
        if device.device.type != "cuda":
            return self
        free, _ = torch.cuda.mem_get_info()
        if sum(tensor.nbytes for tensor in self.tensors) > free / 2:
            return self

        def resident(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device.device)

        return replace(
            self,
            clips=resident(self.clips),
            labels=resident(self.labels),
            flow=resident(self.flow),
            flow_backward=resident(self.flow_backward),
            targets={name: resident(target) for name, target in self.targets.items()},
        )

    def checksum(self) -> str:
        """Digest of everything that batches are cut from."""
        digest = hashlib.sha256()
        for tensor in self.tensors:
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


def load_split(
    files: SplitFiles, count: int | None = None, *, targets: Sequence[str] = ()
) -> Split:
    """Read the first ``count`` clips of a split (all by default), their flow and targets.

    Args:
        files: where clips and flow lie.
        count: number of clips.
        targets: names of targets that are made from the factors.

    Raises:
        ValueError: a flow store does not belong to the clips, or a target cannot be made from this
            data set.
        OSError: a file is missing or unreadable.
    """
    with open_clips(files.clips) as file:
        clips = file.clips[:count]
        labels = file.labels[:count]
        ids = file.ids[:count]
        multi_label = bool(file.attrs["multi_label"])
        made = {}
        for name in targets:
            target = make_target(name, file.factors)[:count]
            made[name] = torch.from_numpy(target)
    return Split(
        clips=torch.from_numpy(clips),
        labels=torch.from_numpy(labels),
        flow=load_flow(files.flow, clips, files.clips),
        multi_label=multi_label,
        ids=ids,
        flow_backward=load_flow(files.flow_backward, clips, files.clips),
        targets=made,
    )


def load_flow(store: Path | None, clips: np.ndarray, clips_file: Path) -> Tensor | None:
    """The flow of the first ``clips`` of a file, None without a store.

    Raises:
        ValueError: the store is that of other clips.
    """
    if store is None:
        return None
    fields = open_flow(store).flow
    enough = fields.shape[0] >= len(clips)
    same_frames = fields.shape[1] == clips.shape[1] - 1
    same_size = fields.shape[3:] == clips.shape[2:4]
    if not (enough and same_frames and same_size):
        raise ValueError(
            f"{store}: flow of shape {fields.shape} does not belong to clips of shape {clips.shape}"
            f" in {clips_file}"
        )
    return torch.from_numpy(np.asarray(fields[: len(clips)]))
