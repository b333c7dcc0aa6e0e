"""Videos of sequences, the embeddings of their frames, and what stands in for these."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidrep.alignment import BASELINES
from vidrep.datasets.kind import SCRIPT_FACTORS
from vidrep.datasets.store import open_clips
from vidrep.training.device import Device
from vidrep.training.split import Split

BATCH = 50  # videos embedded together
CHANCE_WIDTH = 16  # features of the random embeddings


@dataclass(frozen=True)
class Videos:
    """Videos of one split and what is known of them: n videos of T frames with E events.

    Attributes:
        clips: (n, T, H, W) or (n, T, H, W, C) uint8.
        phase: (n, T) int.
        progress: (n, T) float32, script time.
        events: (n, E) int, first frame at or after each event.
        digit: (n,) int.
    """

    clips: np.ndarray
    phase: np.ndarray
    progress: np.ndarray
    events: np.ndarray
    digit: np.ndarray

    def each_frame(self, name: str) -> np.ndarray:
        """``phase`` or ``digit`` of every frame, (n, T) int."""
        values = getattr(self, name)
        return np.broadcast_to(values.reshape(len(values), -1), self.phase.shape)


def read_videos(path: str | Path, count: int) -> Videos:
    """The first ``count`` videos of a split.

    Raises:
        ValueError: a data set whose videos follow no common script.
    """
    with open_clips(path) as file:
        missing = [name for name in SCRIPT_FACTORS if name not in file.factors]
        if missing:
            raise ValueError(
                f"{path}: no factor {', '.join(missing)}; only sequences, which follow one script,"
                " can be aligned"
            )
        return Videos(
            clips=file.clips[:count],
            phase=file.factors["phase"][:count],
            progress=file.factors["progress"][:count],
            events=file.factors["events"][:count],
            digit=file.factors["digit"][:count, 0],
        )


@torch.no_grad()
def embed_frames(objective, split: Split, device: Device) -> Tensor | None:
    """Embeddings of all frames of a split.

    Args:
        objective: the frozen run.
        split: the videos.
        device: where to compute.

    Returns:
        (n, T, D) float32 on the CPU; None for a run that does not embed every frame.
    """
    objective.eval()
    frames = split.shape.clip[1]
    embedded = []
    for batch in split.batches(BATCH, device):
        embedding = objective.embed(batch)
        if not _has_each_frame(embedding, frames):
            return None
        embedded.append(embedding)
    return torch.cat(embedded).float().cpu()


def _has_each_frame(embedding: Tensor | dict[str, Tensor], frames: int) -> bool:
    """Is it one embedding a frame, (B, T, D)?"""
    is_sequence = isinstance(embedding, Tensor) and embedding.ndim == 3
    return is_sequence and embedding.shape[1] == frames


def _frame_index(videos: Videos, rng: np.random.Generator) -> np.ndarray:
    """The number of each frame, from 0 to 1: (n, T, 1)."""
    count, frames = videos.phase.shape
    index = np.linspace(0, 1, frames)[:, None]  # (T, 1)
    return np.tile(index, (count, 1, 1))


def _raw_pixels(videos: Videos, rng: np.random.Generator) -> np.ndarray:
    """The pixels of each frame in [0, 1]: (n, T, C*H*W)."""
    return videos.clips.reshape(*videos.phase.shape, -1) / 255


def _chance(videos: Videos, rng: np.random.Generator) -> np.ndarray:
    """Random numbers: (n, T, CHANCE_WIDTH)."""
    return rng.normal(size=(*videos.phase.shape, CHANCE_WIDTH))


_EMBEDDINGS = {"frame_index": _frame_index, "raw_pixels": _raw_pixels, "chance": _chance}


def baseline(name: str, videos: Videos, rng: np.random.Generator) -> Tensor:
    """What stands in for embeddings: the number of a frame, its pixels, or random numbers.

    Args:
        name: one of ``vidrep.alignment.BASELINES``.
        videos: the videos to embed.
        rng: of the random numbers.

    Returns:
        (n, T, D) float32.

    Raises:
        ValueError: unknown name.
    """
    if name not in BASELINES:
        raise ValueError(f"unknown baseline {name!r}: give one of {', '.join(BASELINES)}")
    embeddings = _EMBEDDINGS[name](videos, rng)
    return torch.from_numpy(embeddings.astype(np.float32))
