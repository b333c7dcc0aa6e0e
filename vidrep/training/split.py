"""A split in memory, cut into batches on the device."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidrep.datasets.store import open_clips
from vidrep.flow.store import open_flow
from vidrep.objectives.base import DataShape
from vidrep.training.device import Device


@dataclass
class Split:
    """Clips of one split as they lie on disk; ``batch`` turns some of them into what networks take.

    Attributes:
        clips: (n, T, H, W) or (n, T, H, W, C) uint8.
        labels: (n, classes) uint8 multi-hot.
        flow: (n, T-1, 2, H, W) float16 in pixels, or None.
        multi_label: may a clip carry several labels?
        ids: names of the clips, e.g. ``test/000012``.
    """

    clips: Tensor
    labels: Tensor
    flow: Tensor | None
    multi_label: bool
    ids: list[str]

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def shape(self) -> DataShape:
        """What a network must know of this data."""
        frames, height, width = self.clips.shape[1:4]
        channels = self.clips.shape[4] if self.clips.ndim == 5 else 1
        return DataShape((channels, frames, height, width), self.labels.shape[1], self.multi_label)

    def batch(self, index: Tensor | slice, device: Device) -> dict[str, Tensor]:
        """``clip`` (B, C, T, H, W) in [0, 1], ``labels`` (B, classes) float, and ``flow`` (B, 2, T-1, H, W) if there is any."""
        batch = {
            "clip": device.clip(self.clips[index]),
            "labels": self.labels[index].to(device.device, torch.float32),
        }
        if self.flow is not None:
            batch["flow"] = device.flow(self.flow[index])
        return batch

    def batches(self, size: int, device: Device) -> Iterator[dict[str, Tensor]]:
        """All clips in order, ``size`` at a time."""
        for i in range(0, len(self), size):
            yield self.batch(slice(i, i + size), device)

    def move(self, device: Device) -> "Split":
        """This split with its tensors resident on a CUDA device when they fit into half of its free memory, else unchanged."""
        tensors = [t for t in (self.clips, self.labels, self.flow) if t is not None]
        if device.device.type != "cuda" or sum(t.nbytes for t in tensors) > torch.cuda.mem_get_info()[0] / 2:
            return self
        flow = None if self.flow is None else self.flow.to(device.device)
        return replace(self, clips=self.clips.to(device.device), labels=self.labels.to(device.device), flow=flow)

    def checksum(self) -> str:
        """Digest of clips, labels and flow."""
        digest = hashlib.sha256()
        for tensor in (self.clips, self.labels, self.flow):
            if tensor is not None:
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


def load_split(clips_file: str | Path, flow_store: str | Path | None = None, count: int | None = None) -> Split:
    """Read the first ``count`` clips (all by default) of a data set file, and their flow from a store.

    Raises:
        ValueError: the flow store does not belong to the clips.
        OSError: a file is missing or unreadable.
    """
    with open_clips(clips_file) as file:
        clips, labels, ids = file.clips[:count], file.labels[:count], file.ids[:count]
        multi_label = bool(file.attrs["multi_label"])
    flow = None
    if flow_store is not None:
        fields = open_flow(flow_store).flow
        if fields.shape[0] < len(clips) or fields.shape[1] != clips.shape[1] - 1 or fields.shape[3:] != clips.shape[2:4]:
            raise ValueError(
                f"{flow_store}: flow of shape {fields.shape} does not belong to clips of shape {clips.shape} in {clips_file}"
            )
        flow = torch.from_numpy(np.asarray(fields[: len(clips)]))
    return Split(torch.from_numpy(clips), torch.from_numpy(labels), flow, multi_label, ids)
