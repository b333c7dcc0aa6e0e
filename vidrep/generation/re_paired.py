"""A run's own predictions given to other clips: what it must beat to have looked at its input."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


class RePaired:
    """The error of each clip's future if the run had predicted that of another clip instead.

    It is the mean over all other clips, which is what random derangements of the predictions, no
    clip keeping its own, give on average. For clips i of n with futures t and predictions p

        mean over j != i of |p_j - t_i|^2
            = |t_i|^2 + (S - |p_i|^2) / (n - 1) - 2 t_i (P - p_i) / (n - 1),

    S and P being the sums over all clips of |p|^2 and p. So predictions need not be kept, but the
    futures are read once more when P is known.
    """

    def __init__(self) -> None:
        self.total: Tensor | float = 0.0  # P, (C, k, H, W) float64
        self.squares: list[Tensor] = []  # |p_i|^2, (B,) each
        self.products: list[Tensor] = []  # t_i p_i, (B,) each

    def add(self, predictions: Tensor, futures: Tensor) -> None:
        """Count a batch: (B, C, k, H, W) twice."""
        predicted = predictions.double()
        self.total = self.total + predicted.sum(0)
        self.squares.append(predicted.square().flatten(1).sum(1))
        self.products.append((predicted * futures).flatten(1).sum(1))

    def errors(self, futures: Iterable[Tensor]) -> np.ndarray:
        """Squared error per frame of each clip, mean over its frames: (n,) float64.

        Args:
            futures: batches of all futures, (B, C, k, H, W), in the order in which
                they were added.

        Returns:
            NaN if there is no other clip.
        """
        of_truth = []
        with_total = []
        for future in futures:
            steps = future.shape[2]
            exact = future.double()
            of_truth.append(exact.square().flatten(1).sum(1))
            with_total.append((exact * self.total).flatten(1).sum(1))
        squares = torch.cat(self.squares)
        others = len(squares) - 1
        if not others:
            return np.full(1, np.nan)
        of_others = (squares.sum() - squares) / others
        products = (torch.cat(with_total) - torch.cat(self.products)) / others
        errors = torch.cat(of_truth) + of_others - 2 * products
        return (errors / steps).cpu().numpy()
