"""The flow that runs predict frames by, and the exact one, as claims read them."""

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool3d

from studies.results import Results
from vidrep.datasets.store import open_clips
from vidrep.flow.methods import flow_of_clips


@torch.no_grad()
def flows(
    results: Results,
    system: str,
    dataset: str,
    split: str = "test",
    *,
    count: int | None = None,
    seed: int | str = 0,
) -> torch.Tensor:
    """Backward flow (n, 2, T-1, h, w) of a run, in pixels of the maps.

    It is that of each next frame given all true frames before it.
    """
    objective = results.load(dataset, system, seed)
    found = []
    for batch in results.batches(dataset, split, count=count):
        seen = batch["clip"][:, :, :-1]
        found.append(objective.model.unroll(seen).flow)
    return torch.cat(found)


def exact_backward(results: Results, dataset: str) -> tuple[torch.Tensor, dict[str, np.ndarray]]:
    """Exact backward flow (n, 2, T-1, H, W) of the test clips, and their factors."""
    with open_clips(results.clips_file(dataset, "test")) as file:
        clips = file.clips[:]
        patches = file.extras["patches"][:]
        corners = file.extras["corners"][:]
        factors = {name: values[:] for name, values in file.factors.items()}
    flow = flow_of_clips("true_backward", clips, patches, corners)
    return torch.from_numpy(flow).float().transpose(1, 2), factors


def digit_motion(motion: np.ndarray, corners: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Mean motion of each digit where it is after each step, pixels weighted by brightness.

    Args:
        motion: (n, T-1, 2, H, W).
        corners: (n, T, k, 2) int, top and left of each patch.
        patches: (n, k, p, p) uint8.

    Returns:
        (n, T-1, k, 2) float64 as (x, y).
    """
    side = np.arange(patches.shape[-1])
    rows = corners[:, 1:, :, 0, None, None] + side[:, None]
    columns = corners[:, 1:, :, 1, None, None] + side
    clip = np.arange(len(motion))[:, None, None, None, None]
    step = np.arange(motion.shape[1])[:, None, None, None]
    inside = motion[clip, step, :, rows, columns]  # (n, T-1, k, p, p, 2)
    weight = patches[:, None, ..., None].astype(np.float64)
    return (weight * inside).sum((3, 4)) / weight.sum((3, 4))


def mean_length(flow: torch.Tensor, clips: torch.Tensor, last: int) -> np.ndarray:
    """Mean length of flow on lit places of the ``last`` frames.

    Args:
        flow: (n, 2, T-1, h, w).
        clips: (n, C, T, H, W).
        last: number of frames.

    Returns:
        (n, 1) float64.
    """
    grey = clips[:, :, -last:].mean(1, keepdim=True)
    lit = adaptive_avg_pool3d(grey, (last, *flow.shape[3:]))
    length = flow[:, :, -last:].norm(dim=1, keepdim=True)
    mean = (lit * length).sum((2, 3, 4)) / lit.sum((2, 3, 4))
    return mean.double().numpy()
