"""Sampling maps at displaced places."""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(maps: Tensor, flow: Tensor) -> Tensor:
    """Every place takes what lies at itself plus its flow: bilinear, zeros outside.

    This is backward warping: the flow lives on the places that are filled and points to where their
    content comes from, so its sign is opposite to the motion. Whole numbers of pixels are exact at
    any size.

    Args:
        maps: (B, C, T, H, W).
        flow: (B, 2, T, H, W) in pixels of the maps, channels (x, y).

    Returns:
        (B, C, T, H, W) float32.

    Raises:
        ValueError: shapes that do not belong together.
    """
    if flow.shape != (len(maps), 2, *maps.shape[2:]):
        raise ValueError(
            f"flow of shape {tuple(flow.shape)} does not belong to maps of shape"
            f" {tuple(maps.shape)}"
        )
    height, width = maps.shape[3:]
    rows = torch.arange(height, device=maps.device)[:, None]  # (H, 1)
    columns = torch.arange(width, device=maps.device)  # (W,)
    x, y = flow.float().unbind(1)  # (B, T, H, W)
    # With align_corners=False the left edge of the first pixel is -1, the right one of the last 1.
    grid_x = (2 * (columns + x) + 1) / width - 1
    grid_y = (2 * (rows + y) + 1) / height - 1
    grid = torch.stack([grid_x, grid_y], dim=-1)  # (B, T, H, W, 2)
    frames = maps.float().transpose(1, 2).flatten(0, 1)  # (B * T, C, H, W)
    sampled = F.grid_sample(
        frames, grid.flatten(0, 1), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return sampled.unflatten(0, (len(maps), -1)).transpose(1, 2)  # (B, C, T, H, W)
