"""Linear stitching: can the head of one run read the features of another?

Lenc and Vedaldi 2015 (arXiv:1411.5908), Bansal et al. 2021 (arXiv:2106.07682); here with the map of least squares in place of
one trained through the rest of the network (as Csiszarik et al. 2021, arXiv:2110.14633, start from), so that nothing is
trained: a ridge regression from what the first run's heads read to what the second's read, fitted on clips of the training
split. The penalty of each pair is chosen by the leave-one-out error within these clips (Allen 1974, PRESS), as in
``vidrep.similarity.predictivity``.
"""

from __future__ import annotations

import numpy as np

from vidrep.similarity.predictivity import PENALTIES


class Stitcher:
    """Ridge regressions from one run's readouts: one decomposition serves all targets and penalties.

    Args:
        fit: (m, p) readouts of the fitting clips.
        test: (n, p) readouts of the test clips.
    """

    def __init__(self, fit: np.ndarray, test: np.ndarray) -> None:
        mean = fit.mean(axis=0)
        fit, test = fit - mean, test - mean
        values, self.vectors = np.linalg.eigh(fit @ fit.T)
        self.values = np.maximum(values, 0)
        self.projected = (test @ fit.T) @ self.vectors
        self.penalties = PENALTIES * self.values.mean()

    def map(self, target: np.ndarray) -> np.ndarray:
        """What the best map makes of the test clips.

        Args:
            target: (m, q) the other run's readouts of the fitting clips.

        Returns:
            (n, q); the mean of ``target`` for every clip if this run's readouts never change.
        """
        mean = target.mean(axis=0)
        if not self.penalties[0] > 0:
            return np.tile(mean, (len(self.projected), 1))
        rotated = self.vectors.T @ (target - mean)
        errors = [self._left_out(target - mean, rotated, penalty) for penalty in self.penalties]
        penalty = self.penalties[int(np.argmin(errors))]
        return mean + self.projected @ (rotated / (self.values + penalty)[:, None])

    def _left_out(self, target: np.ndarray, rotated: np.ndarray, penalty: float) -> float:
        """Sum of squared leave-one-out errors for centred targets (m, q)."""
        shrunk = self.values / (self.values + penalty)
        residual = target - self.vectors @ (shrunk[:, None] * rotated)
        leverage = 1 / len(target) + (self.vectors**2) @ shrunk
        return float(np.sum((residual / np.maximum(1 - leverage, 1e-12)[:, None]) ** 2))
