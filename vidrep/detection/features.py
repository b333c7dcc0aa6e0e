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
    number = np.arange(clips.max())  # (L,) of the clips of the longest video
    begin = offset + clip_frames * number[:, None]  # (L, 1)
    first = segments[:, None, :, 0]  # (V, 1, S)
    end = segments[:, None, :, 1]
    covered = np.minimum(end, begin + clip_frames) - np.maximum(first, begin)  # (V, L, S) frames
    covered = np.clip(covered, 0, None)
    is_class = segment_class[:, None, :, None] == np.arange(classes)  # (V, 1, S, K)
    counts = (covered[..., None] * is_class).sum(2)  # (V, L, K) frames
    is_activity = 2 * counts.max(-1) >= clip_frames
    labels = np.where(is_activity, counts.argmax(-1) + 1, 0)  # (V, L)
    exists = number < clips[:, None]
    return labels[exists], clips


@torch.no_grad()
def embed_clips(objective: Objective, clips: Tensor, device: Device) -> Tensor:
    """Features of clips: the run's embedding, averaged over steps, its streams side by side.

    Args:
        objective: a run in evaluation mode whose model takes clips alone.
        clips: (B, T, H, W[, 3]) uint8.
        device: where to compute.

    Returns:
        (B, D) float32.
    """
    embedding = objective.embed({"clip": device.clip(clips)})
    parts = []
    for value in streams(embedding).values():
        has_steps = value.ndim == 3  # (B, S, D)
        parts.append(value.mean(1) if has_steps else value)
    return torch.cat(parts, -1).float()


def cut(video: np.ndarray, clips: int, clip_frames: int, offset: int) -> np.ndarray:
    """The first ``clips`` non-overlapping clips of a video from frame ``offset`` on.

    Args:
        video: (T, H, W[, 3]).

    Returns:
        (clips, clip_frames, H, W[, 3]).
    """
    frames = video[offset : offset + clips * clip_frames]
    return frames.reshape(clips, clip_frames, *video.shape[1:])


def extract(
    path: str | os.PathLike,
    objective: Objective,
    device: Device,
    *,
    offset: int = 0,
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
    _, clip_frames, height, width = objective.shape.clip
    with open_clips(path) as file:
        size = file.clips.shape[2:4]
        if size != (height, width):
            raise ValueError(
                f"{path}: videos of {size} pixels for a network trained on {(height, width)}"
            )
        segments = file.factors["segments"]
        segment_class = file.factors["segment_class"]
        classes = file.labels.shape[1]
        labels, clips = clip_labels(
            file.factors["frames"],
            segments,
            segment_class,
            classes=classes,
            clip_frames=clip_frames,
            offset=offset,
        )
        blocks = []
        for batch in _batches(file.clips, clips, clip_frames, offset):
            blocks.append(embed_clips(objective, batch, device).cpu())
        fps = float(file.attrs["fps"])
    return Videos(
        features=torch.cat(blocks).numpy(),
        clips=clips,
        labels=labels,
        segments=segments,
        segment_class=segment_class,
        classes=classes,
        clip_frames=clip_frames,
        offset=offset,
        fps=fps,
    )


def _batches(
    videos: h5py.Dataset,
    clips: np.ndarray,
    clip_frames: int,
    offset: int,
) -> Iterator[Tensor]:
    """Batches of clips (B, T, H, W[, 3]), read a few videos at a time."""
    for i in range(0, len(clips), VIDEOS_AT_ONCE):
        some = slice(i, i + VIDEOS_AT_ONCE)
        pieces = []
        for video, count in zip(videos[some], clips[some], strict=True):
            pieces.append(cut(video, count, clip_frames, offset))
        yield from torch.from_numpy(np.concatenate(pieces)).split(BATCH)


def write_features(path: str | os.PathLike, splits: dict[str, Videos], attrs: dict) -> None:
    """Write splits to one HDF5 file, a group each; ``attrs`` become the file's attributes."""
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
    splits = {}
    attrs = {}
    with h5py.File(path, "r") as file:
        for name, group in file.items():
            arrays = {key: value[:] for key, value in group.items()}
            numbers = {key: value.item() for key, value in group.attrs.items()}
            splits[name] = Videos(**arrays, **numbers)
        for name, value in file.attrs.items():
            attrs[name] = value.item() if isinstance(value, np.generic) else value
    return splits, attrs
