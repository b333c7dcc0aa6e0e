"""A split, cut into batches on the device.

Rendered clips lie in memory; videos are read from their files batch by batch, a few ahead.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidrep.datasets.store import ClipFile, open_clips
from vidrep.objectives.base import DataShape
from vidrep.splits import SplitFiles
from vidrep.training.device import Device
from vidrep.training.rows import Rows, ahead, stored_clips, stored_flow
from vidrep.training.targets import make_target
from vidrep.windows import cuts, names_of_videos


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
        videos: (n,) the number of the video that each clip is a window of, rising; None where each
            clip is one. See ``vidrep.windows``.
        groups: what the video of each clip shares with others, a person or a source; None where
            clips are independent.
    """

    clips: Tensor | Rows
    labels: Tensor
    flow: Tensor | Rows | None
    multi_label: bool
    ids: list[str]
    flow_backward: Tensor | Rows | None = None
    targets: dict[str, Tensor] = field(default_factory=dict)
    new_clips: Callable[[int], "Split"] | None = None
    videos: np.ndarray | None = None
    groups: list[str] | None = None

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
            ``flow_backward`` (B, 2, T-1, H, W), ``video`` (B,), and targets by name (B, classes).
        """
        return self._on_device(self._taken(index), device)

    def _taken(self, index: Tensor | slice) -> dict[str, Tensor]:
        """Some rows of everything, as they lie on disk."""
        rows = torch.arange(len(self), device=self.clips.device)
        taken = {"clip": self.clips[index], "labels": self.labels[index], "row": rows[index]}
        if self.flow is not None:
            taken["flow"] = self.flow[index]
        if self.flow_backward is not None:
            taken["flow_backward"] = self.flow_backward[index]
        if self.videos is not None:
            taken["video"] = torch.from_numpy(self.videos)[index]
        for name, target in self.targets.items():
            taken[name] = target[index]
        return taken

    def _on_device(self, taken: dict[str, Tensor], device: Device) -> dict[str, Tensor]:
        """Rows as networks and objectives take them."""
        batch = {}
        for name, rows in taken.items():
            if name == "clip":
                batch[name] = device.clip(rows)
            elif name in ("flow", "flow_backward"):
                batch[name] = device.flow(rows)
            elif name in ("row", "video"):
                batch[name] = rows.to(device.device)
            else:
                batch[name] = rows.to(device.device, torch.float32)
        return batch

    def draw(
        self, indices: Iterable[Tensor | slice], device: Device
    ) -> Iterator[dict[str, Tensor]]:
        """A batch of each index in turn, read ahead where clips lie in a file."""
        taken = map(self._taken, indices)
        for rows in ahead(taken) if isinstance(self.clips, Rows) else taken:
            yield self._on_device(rows, device)

    @property
    def names(self) -> list[str]:
        """The names of what is scored: of the clips, or of the videos that they are windows of."""
        return names_of_videos(self.ids, self.videos)

    def cuts(self, size: int) -> list[slice]:
        """All clips in order, about ``size`` at a time, the clips of a video together."""
        return cuts(len(self), size, self.videos)

    def batches(self, size: int, device: Device) -> Iterator[dict[str, Tensor]]:
        """A batch of each of ``cuts``."""
        return self.draw(self.cuts(size), device)

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
        if device.device.type != "cuda" or isinstance(self.clips, Rows):
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
        """Digest of everything that batches are cut from; of stored clips by their names."""
        digest = hashlib.sha256()
        for tensor in self.tensors:
            if isinstance(tensor, Rows):
                digest.update("\n".join(self.ids).encode())
            else:
                digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


def load_split(
    files: SplitFiles, count: int | None = None, *, targets: Sequence[str] = ()
) -> Split:
    """The first ``count`` clips of a split (all by default), their flow and targets.

    Args:
        files: where clips and flow lie.
        count: number of clips; of videos where several clips may be windows of one.
        targets: names of targets that are made from the factors.

    Raises:
        ValueError: a flow store does not belong to the clips, or a target cannot be made from this
            data set.
        OSError: a file is missing or unreadable.
    """
    with open_clips(files.clips) as file:
        videos, groups = _videos(file)
        if videos is not None and count is not None:
            count = int(np.searchsorted(videos, count))
        labels = file.labels[:count]
        made = {}
        for name in targets:
            target = make_target(name, file.factors)[:count]
            made[name] = torch.from_numpy(target)
        stored = videos is not None
        clips = stored_clips(files.clips, len(labels)) if stored else file.clips[:count]
        return Split(
            clips=clips if stored else torch.from_numpy(clips),
            labels=torch.from_numpy(labels),
            flow=load_flow(files.flow, clips, files.clips),
            multi_label=bool(file.attrs["multi_label"]),
            ids=file.ids[:count],
            flow_backward=load_flow(files.flow_backward, clips, files.clips),
            targets=made,
            videos=videos[:count] if stored else None,
            groups=groups[:count] if stored else None,
        )


def _videos(file: ClipFile) -> tuple[np.ndarray | None, list[str] | None]:
    """The video and the group of each clip of a file; None where clips are independent."""
    if "videos" not in file.extras:
        return None, None
    groups = [group.decode() for group in file.extras["groups"][:]]
    return file.extras["videos"][:].astype(np.int64), groups


def load_flow(
    store: Path | None, clips: np.ndarray | Rows, clips_file: Path
) -> Tensor | Rows | None:
    """The flow of the first ``clips`` of a file, None without a store; stored as the clips are.

    Raises:
        ValueError: the store is that of other clips.
    """
    if store is None:
        return None
    from vidrep.flow.store import open_flow  # imports zarr, and most systems read no flow

    fields = open_flow(store).flow
    enough = fields.shape[0] >= len(clips)
    same_frames = fields.shape[1] == clips.shape[1] - 1
    same_size = fields.shape[3:] == clips.shape[2:4]
    if not (enough and same_frames and same_size):
        raise ValueError(
            f"{store}: flow of shape {fields.shape} does not belong to clips of shape {clips.shape}"
            f" in {clips_file}"
        )
    if isinstance(clips, Rows):
        return stored_flow(store, len(clips))
    return torch.from_numpy(np.asarray(fields[: len(clips)]))
