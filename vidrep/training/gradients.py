"""Gradients of a batch, in pieces where the device's memory does not hold it whole."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vidrep.training.device import Device


class Gradients:
    """Computes the gradients of batches; out of memory, it halves the pieces they are computed in,
    from then on.

    The gradients of the pieces add up to those of the batch when the loss is a mean over clips, so
    the effective batch, the steps and the schedule stay what they were. Not quite the same: batch
    normalisation takes its statistics from a piece, not from the batch, and counts every piece and
    every failed attempt in its running statistics; random masks are drawn, and averages of weights
    follow, piece by piece; losses that compare the clips of a batch compare those of a piece.

    Args:
        device: where to compute.
        report: receives a line when the pieces become smaller.
    """

    def __init__(self, device: Device, report: Callable[[str], None]) -> None:
        self.device = device
        self.report = report
        self.piece: int | None = None  # clips; None: the whole batch

    def compute(self, objective: nn.Module, batch: dict) -> Tensor:
        """Leave the gradients of ``batch`` in the objective's parameters and return its loss, a
        scalar without history.

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
        """The same by pieces, weighted by their share of the batch; a whole batch is not
        touched.
        """
        size = len(batch["clip"])
        total = None
        objective.zero_grad(set_to_none=True)
        for start in range(0, size, self.piece or size):
            piece = take(batch, start, self.piece) if self.piece else batch
            with self.device.autocast():
                loss = objective.loss(piece)
            if self.piece:
                loss = loss * (len(piece["clip"]) / size)
            loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        return total

    def _halve(self, size: int) -> None:
        """Make the pieces half as large."""
        piece = self.piece or size
        if piece == 1:
            raise ValueError(
                "out of memory on the device with one clip at a time; use a smaller system or a"
                " larger device"
            )
        self.piece = -(-piece // 2)
        if self.device.device.type == "cuda":
            torch.cuda.empty_cache()
        self.report(
            f"out of memory with {piece} clips at a time: from now on {self.piece}, gradients"
            f" accumulated over {size}"
        )


def take(batch: dict, start: int, count: int) -> dict:
    """Some of the clips of a batch, with all that belongs to them."""
    return {
        name: (
            take(values, start, count)
            if isinstance(values, dict)
            else values[start : start + count]
        )
        for name, values in batch.items()
    }
