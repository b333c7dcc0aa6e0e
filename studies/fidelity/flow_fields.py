"""The flow that runs predict frames by, and the exact one, as claims read them."""

import numpy as np
import torch

from studies.fidelity.claim import Results
from studies.fidelity.errors import batches
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
    seed=0,
) -> torch.Tensor:
    """Backward flow (n, 2, T-1, h, w) in pixels of the maps, that of each next frame given all true
    frames before it.
    """
    objective = results.load(dataset, system, seed)
    found = [
        objective.model.unroll(batch["clip"][:, :, :-1]).flow
        for batch in batches(results, dataset, split, count)
    ]
    return torch.cat(found)


def exact_backward(results: Results, dataset: str) -> tuple[torch.Tensor, dict[str, np.ndarray]]:
    """Exact backward flow (n, 2, T-1, H, W) of the test clips, and their factors."""
    with open_clips(results.clips_file(dataset, "test")) as file:
        arrays = (file.clips[:], file.extras["patches"][:], file.extras["corners"][:])
        factors = {name: values[:] for name, values in file.factors.items()}
    return (
        torch.from_numpy(flow_of_clips("true_backward", *arrays)).float().transpose(1, 2),
        factors,
    )


def digit_motion(motion: np.ndarray, corners: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Mean motion of each digit, its pixels weighted by their brightness, where the digit is after
    each step.

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
    weight = patches[:, None, ..., None].astype(np.float64)
    return (weight * motion[clip, step, :, rows, columns]).sum((3, 4)) / weight.sum((3, 4))


def mean_length(flow: torch.Tensor, clips: torch.Tensor, last: int) -> np.ndarray:
    """Mean length of flow (n, 2, T-1, h, w) on lit places of the ``last`` frames of clips (n, C, T,
    H, W): (n, 1) float64.
    """
    lit = torch.nn.functional.adaptive_avg_pool3d(
        clips[:, :, -last:].mean(1, keepdim=True), (last, *flow.shape[3:])
    )
    length = flow[:, :, -last:].norm(dim=1, keepdim=True)
    return ((lit * length).sum((2, 3, 4)) / lit.sum((2, 3, 4))).double().numpy()
