"""Videos as sequences of clip features from a frozen network, and the label of each clip."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields

import h5py
import numpy as np
import torch
from torch import Tensor

from vidrep.datasets.store import open_clips
from vidrep.files import whole
from vidrep.objectives.base import Objective, streams
from vidrep.training.device import Device

VIDEOS_AT_ONCE = 16
BATCH = 200  # clips a forward pass


@dataclass(frozen=True, eq=False)
class Videos:
    """What detection knows of the videos of one split.

    Attributes:
        features: (N, D) float32, one row a clip, video after video.
        clips: (V,) int, clips of each video, at least one.
        labels: (N,) int, 0 for background, class + 1 for an activity.
        segments: (V, S, 2) int, first frame and end of the true segments, -1 where there is none.
        segment_class: (V, S) int, their classes, -1 where there is none.
        classes: K, number of activities.
        clip_frames: frames a clip.
        offset: frame at which the first clip begins.
        fps: frames a second.
    """

    features: np.ndarray
    clips: np.ndarray
    labels: np.ndarray
    segments: np.ndarray
    segment_class: np.ndarray
    classes: int
    clip_frames: int
    offset: int
    fps: float

    def __len__(self) -> int:
        return len(self.clips)


def clip_labels(
    frames: np.ndarray,
    segments: np.ndarray,
    segment_class: np.ndarray,
    *,
    classes: int,
    clip_frames: int,
    offset: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the non-overlapping clips of videos; frames after the last full clip are dropped.

    A clip carries the activity that at least half of its frames have (8 of 16), else it is
    background. Activities are counted each for itself, so videos with several of them, or with
    none, are labelled right.

    Args:
        frames: (V,) lengths of the videos.
        segments: (V, S, 2) first frame and end of each segment, -1 for none.
        segment_class: (V, S), -1 for none.
        classes: K.
        clip_frames: frames a clip.
        offset: frame at which the first clip begins.

    Returns:
        labels (N,) int in 0..K, and clips (V,) int.

    Raises:
        ValueError: a video is shorter than one clip.
    """
    clips = (frames - offset) // clip_frames
    if clips.min(initial=1) < 1:
        raise ValueError(
            f"a video of {frames.min()} frames has no clip of {clip_frames} frames from frame"
            f" {offset} on"
        )
    begin = offset + clip_frames * np.arange(clips.max())[:, None]  # (L, 1)
    first = segments[:, None, :, 0]
    end = segments[:, None, :, 1]
    # (V, L, S) frames
    covered = np.clip(np.minimum(end, begin + clip_frames) - np.maximum(first, begin), 0, None)
    each_class = segment_class[:, None, :, None] == np.arange(classes)
    counts = (covered[..., None] * each_class).sum(2)  # (V, L, K)
    labels = np.where(2 * counts.max(-1) >= clip_frames, counts.argmax(-1) + 1, 0)
    return labels[np.arange(clips.max()) < clips[:, None]], clips


@torch.no_grad()
def embed_clips(objective: Objective, clips: Tensor, device: Device) -> Tensor:
    """Features of clips, (B, D) float32: the run's embedding, averaged over its steps, its streams
    side by side.

    Args:
        objective: a run in evaluation mode whose model takes clips alone.
        clips: (B, T, H, W[, 3]) uint8.
    """
    embedding = objective.embed({"clip": device.clip(clips)})
    parts = [value.mean(1) if value.ndim == 3 else value for value in streams(embedding).values()]
    return torch.cat(parts, -1).float()


def cut(video: np.ndarray, clips: int, clip_frames: int, offset: int) -> np.ndarray:
    """The first ``clips`` non-overlapping clips of a video from frame ``offset`` on.

    Args:
        video: (T, H, W[, 3]).

    Returns:
        (clips, clip_frames, H, W[, 3]).
    """
    return video[offset : offset + clips * clip_frames].reshape(
        clips, clip_frames, *video.shape[1:]
    )


def extract(
    path: str | os.PathLike, objective: Objective, device: Device, *, offset: int = 0
) -> Videos:
    """Features and labels of all clips of one split of untrimmed videos.

    Args:
        path: the split (.h5), with factors ``frames``, ``segments`` and ``segment_class``.
        objective: the frozen run.
        device: where to compute.
        offset: frame at which the first clip of each video begins.

    Raises:
        ValueError: the model wants more than clips, or clips of another size.
    """
    if tuple(objective.model.inputs) != ("clip",):
        raise ValueError(
            "a clip network must be fed clips alone; this one takes"
            f" {', '.join(objective.model.inputs)}"
        )
    _, clip_frames, *size = objective.shape.clip
    with open_clips(path) as file:
        if list(file.clips.shape[2:4]) != size:
            raise ValueError(
                f"{path}: videos of {file.clips.shape[2:4]} pixels for a network trained on"
                f" {tuple(size)}"
            )
        facts = {name: file.factors[name] for name in ("segments", "segment_class")}
        classes = file.labels.shape[1]
        labels, clips = clip_labels(
            file.factors["frames"], **facts, classes=classes, clip_frames=clip_frames, offset=offset
        )
        blocks = [
            embed_clips(objective, batch, device).cpu()
            for batch in _batches(file.clips, clips, clip_frames, offset)
        ]
        fps = float(file.attrs["fps"])
    return Videos(
        torch.cat(blocks).numpy(),
        clips,
        labels,
        **facts,
        classes=classes,
        clip_frames=clip_frames,
        offset=offset,
        fps=fps,
    )


def _batches(
    videos: h5py.Dataset, clips: np.ndarray, clip_frames: int, offset: int
) -> Iterator[Tensor]:
    """Batches of clips (B, T, H, W[, 3]), read a few videos at a time."""
    for i in range(0, len(clips), VIDEOS_AT_ONCE):
        read = videos[i : i + VIDEOS_AT_ONCE]
        pieces = [
            cut(video, many, clip_frames, offset)
            for video, many in zip(read, clips[i:], strict=False)
        ]
        yield from torch.from_numpy(np.concatenate(pieces)).split(BATCH)


def write_features(path: str | os.PathLike, splits: dict[str, Videos], attrs: dict) -> None:
    """Write splits to one HDF5 file, a group each, whole or not at all; ``attrs`` become the file's
    attributes.
    """
    with whole(path) as beside, h5py.File(beside, "w") as file:
        file.attrs.update(attrs)
        for name, videos in splits.items():
            group = file.create_group(name)
            for field in fields(Videos):
                value = getattr(videos, field.name)
                if isinstance(value, np.ndarray):
                    group[field.name] = value
                else:
                    group.attrs[field.name] = value


def read_features(path: str | os.PathLike) -> tuple[dict[str, Videos], dict]:
    """Splits and attributes that ``write_features`` wrote."""
    with h5py.File(path, "r") as file:
        splits = {
            name: Videos(
                **{key: value[:] for key, value in group.items()},
                **{key: value.item() for key, value in group.attrs.items()},
            )
            for name, group in file.items()
        }
        return splits, {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in file.attrs.items()
        }
