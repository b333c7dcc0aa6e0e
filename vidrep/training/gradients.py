"""Gradients of a batch, in pieces where the device's memory does not hold it whole."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vidrep.training.device import Device


class Gradients:
    """Computes the gradients of batches, in smaller and smaller pieces as memory runs out.

    Pieces are halved when they do not fit, and stay so. Their gradients add up to those of the
    batch when the loss is a mean over clips, so the effective batch, the steps and the schedule
    stay what they were. It is not quite the same. Batch normalisation takes its statistics from a
    piece, not from the batch, and counts every piece and every failed attempt in its running
    statistics. Random masks are drawn, and averages of weights follow, piece by piece. Losses that
    compare the clips of a batch compare those of a piece.

    Args:
        device: where to compute.
        report: receives a line when the pieces become smaller.
    """

    def __init__(self, device: Device, report: Callable[[str], None]) -> None:
        self.device = device
        self.report = report
        self.piece: int | None = None  # clips; None: the whole batch

    def compute(self, objective: nn.Module, batch: dict) -> Tensor:
        """Leave the gradients of ``batch`` in the objective's parameters and return its loss.

        Returns:
            A scalar without history.

        Raises:
            ValueError: memory does not even hold one clip.
        """
        while True:
            try:
                return self._add_up(objective, batch)
            except torch.OutOfMemoryError:
                # what the failed attempt holds is freed with its frames, on leaving this clause
                pass
            self._halve(len(batch["clip"]))

    def _add_up(self, objective: nn.Module, batch: dict) -> Tensor:
        """The same, at once or by pieces, weighted by their share of the batch."""
        objective.zero_grad(set_to_none=True)
        if self.piece is None:
            return self._add(objective, batch, share=None)
        size = len(batch["clip"])
        total = None
        for start in range(0, size, self.piece):
            piece = take(batch, start, self.piece)
            loss = self._add(objective, piece, share=len(piece["clip"]) / size)
            total = loss if total is None else total + loss
        return total

    def _add(self, objective: nn.Module, batch: dict, share: float | None) -> Tensor:
        """Add the gradients of a batch's loss, times ``share`` if given, and return that loss."""
        with self.device.autocast():
            loss = objective.loss(batch)
        if share is not None:
            loss = loss * share
        loss.backward()
        return loss.detach()

    def _halve(self, size: int) -> None:
        """Make the pieces half as large."""
        piece = self.piece or size
        if piece == 1:
            raise ValueError(
                "out of memory on the device with one clip at a time; use a smaller system or a"
                " larger device"
            )
        self.piece = math.ceil(piece / 2)
        if self.device.device.type == "cuda":
            torch.cuda.empty_cache()
        self.report(
            f"out of memory with {piece} clips at a time: from now on {self.piece}, gradients"
            f" accumulated over {size}"
        )


def take(batch: dict, start: int, count: int) -> dict:
    """Some of the clips of a batch, with all that belongs to them."""
    taken = {}
    for name, values in batch.items():
        if isinstance(values, dict):
            taken[name] = take(values, start, count)
        else:
            taken[name] = values[start : start + count]
    return taken
