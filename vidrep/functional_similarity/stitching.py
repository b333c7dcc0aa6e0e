"""Linear stitching: can the head of one run read the features of another?

Lenc and Vedaldi 2015 (arXiv:1411.5908), Bansal et al. 2021 (arXiv:2106.07682); here with the map of
least squares in place of one trained through the rest of the network (as Csiszarik et al. 2021,
arXiv:2110.14633, start from), so that nothing is trained: a ridge regression from what the first
run's heads read to what the second's read, fitted on clips of the training split. The penalty of
each pair is chosen by the leave-one-out error within these clips (Allen 1974, PRESS), as in
``vidrep.measures.linear_r2``.
"""

from __future__ import annotations

import numpy as np

from vidrep.statistics import RIDGE_PENALTIES


class Stitcher:
    """Ridge regressions from one run's readouts.

    One decomposition serves all targets and penalties.

    Args:
        fit: (m, p) readouts of the fitting clips.
        test: (n, p) readouts of the test clips.
    """

    def __init__(self, fit: np.ndarray, test: np.ndarray) -> None:
        mean = fit.mean(axis=0)
        fit = fit - mean
        test = test - mean
        values, self.vectors = np.linalg.eigh(fit @ fit.T)
        self.values = np.maximum(values, 0)
        self.projected = (test @ fit.T) @ self.vectors
        self.penalties = RIDGE_PENALTIES * self.values.mean()

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
        target = target - mean
        rotated = self.vectors.T @ target
        errors = self._left_out(rotated)
        penalty = self.penalties[int(np.argmin(errors))]
        return mean + self.projected @ (rotated / (self.values + penalty)[:, None])

    def _left_out(self, rotated: np.ndarray) -> list[float]:
        """Sum of squared leave-one-out errors at each penalty.

        Targets are centred and in the basis of the vectors, (m, q).

        A row of the residual has the square length v^T S G S v: v the row of the vectors, S the
        share that the penalty takes, G the inner products of the targets. So wide targets cost no
        more than their m x m inner products.
        """
        square = rotated @ rotated.T
        errors = []
        for penalty in self.penalties:
            taken = penalty / (self.values + penalty)
            rows = self.vectors * taken
            lengths = np.einsum("ij,ij->i", rows @ square, rows)
            leverage = 1 / len(rotated) + (self.vectors**2) @ (1 - taken)
            errors.append(float(np.sum(lengths / np.maximum(1 - leverage, 1e-12) ** 2)))
        return errors
