"""Muon: momentum whose direction is made orthogonal, for the weights of convolutions.

After Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
https://kellerjordan.github.io/posts/muon/, and his code for convolutions (KellerJordan/Muon). An
update has all its singular values near 1, so that rare directions are learnt as fast as common
ones. ``torch.optim.Muon`` takes matrices only and computes in bfloat16, which is slow and coarse on
CPUs; here it is float32.

Deviations: three Newton-Schulz steps in place of five, momentum 0.9 in place of 0.95.
"""

from operator import attrgetter

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vidrep.training.eager import eager

MOMENTUM = 0.9
STEPS = 3
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
TINY = 1e-7  # keeps the norm of a matrix of zeros from dividing


class Muon(eager(Optimizer)):
    """Muon with Nesterov momentum and decoupled weight decay.

    Args:
        parameters: of four or more dimensions, the first that of the outputs.
        lr: rate, the norm that an update changes a row by where rows are no more than columns.
        weight_decay: share of the weights that a step takes away, times the rate.
    """

    def __init__(self, parameters: list[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """One step of all parameters that have gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"], group["weight_decay"])

    def _update(self, parameter: nn.Parameter, lr: float, weight_decay: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"]
        momentum.lerp_(parameter.grad, 1 - MOMENTUM)
        direction = parameter.grad.lerp(momentum, MOMENTUM)
        matrix = direction.flatten(1)  # (outputs, rest)
        rows, columns = matrix.shape
        scale = max(1, rows / columns) ** 0.5
        update = orthogonalised(matrix).view(parameter.shape)
        parameter.mul_(1 - lr * weight_decay)
        parameter.add_(update, alpha=-lr * scale)


def orthogonalised(matrix: Tensor) -> Tensor:
    """U V^T of a matrix U S V^T, roughly: Newton-Schulz iterations of its singular values.

    They start from a matrix of norm 1. Singular values of at least 0.025 then end between 0.68 and
    1.21; smaller ones grow up to 41-fold.

    Args:
        matrix: (rows, columns) float32.

    Returns:
        (rows, columns), contiguous.
    """
    a, b, c = COEFFICIENTS
    wide = matrix.T if len(matrix) > matrix.shape[1] else matrix
    result = wide / (wide.norm() + TINY)
    for _ in range(STEPS):
        gram = result @ result.T
        polynomial = b * gram + c * gram @ gram
        result = a * result + polynomial @ result
    tall = result.T if len(matrix) > matrix.shape[1] else result
    return tall.contiguous()


def split_parameters(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Parameters that are to be trained: those for Muon, and the rest.

    Muon takes what has four or more dimensions, but for what a module names as ``recurrent``: a
    recurrent matrix under Muon diverges.
    """
    recurrent = set()
    for module in network.modules():
        for name in getattr(module, "recurrent", ()):
            recurrent.add(attrgetter(name)(module))
    matrices = []
    rest = []
    for parameter in network.parameters():
        if parameter.requires_grad:
            wanted = parameter.ndim >= 4 and parameter not in recurrent
            (matrices if wanted else rest).append(parameter)
    return matrices, rest
