"""Which clips are trained on, and in which order."""

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
    drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    shown = F.one_hot(labels[drawn].argmax(1), labels.shape[1])
    turn = (shown.cumsum(0) * shown).sum(1)  # the how-manieth of its class each clip is
    return drawn[turn.argsort(stable=True)][:count]


def epoch_order(rows: Tensor, length: int, seed: int) -> Tensor:
    """Places of ``length`` clips out of ``rows``: one random order after another until there are
    enough.
    """
    generator = torch.Generator().manual_seed(seed)
    rounds = [
        rows[torch.randperm(len(rows), generator=generator)] for _ in range(-(-length // len(rows)))
    ]
    return torch.cat(rounds)[:length]
