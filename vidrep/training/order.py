"""Which clips are trained on, and in which order."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def labelled_rows(labels: Tensor, count: int, seed: int) -> Tensor:
    """The training clips whose labels may be used.

    Classes, by the first label of each clip, take turns, so that few clips show all of them; fewer
    are a subset of more.

    Args:
        labels: (n, classes) multi-hot.
        count: how many, at most n.
        seed: of the draw.

    Returns:
        (count,) places, in the order drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(labels), generator=generator)
    first_label = labels[drawn].argmax(1)
    shown = F.one_hot(first_label, labels.shape[1])  # (n, classes)
    turn = (shown.cumsum(0) * shown).sum(1)  # how many clips of its class came so far, with itself
    in_turns = drawn[turn.argsort(stable=True)]
    return in_turns[:count]


def epoch_order(rows: Tensor, length: int, seed: int) -> Tensor:
    """Places of ``length`` clips of ``rows``: random orders, one after another until it is full."""
    generator = torch.Generator().manual_seed(seed)
    rounds = []
    for _ in range(math.ceil(length / len(rows))):
        order = torch.randperm(len(rows), generator=generator)
        rounds.append(rows[order])
    return torch.cat(rounds)[:length]
