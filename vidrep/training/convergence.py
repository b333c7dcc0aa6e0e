"""Had a run stopped getting better when its training ended?

The rule: what the last quarter of the last training stage added to the validation score is at most
a tenth of all that the stage's validations gained. The score is that by which weights are chosen;
"added" is the best score of the last quarter over the best before it, "gained" the best over the
first. With fewer than ``ENOUGH`` validations the answer is not known. Training scores a stage at
least eight times, within epochs too where they are few.

A rate that falls to nothing flattens every curve at its very end, so the last validations alone
would show no rise in any run. A quarter is long: with one-cycle its rate begins at a fifth of the
peak, and what the fall of the rate adds counts as rise. A run that has converged by this rule would
gain little from more training of the same kind; one that has not might. A run that has learnt
nothing, and does not begin to, has converged too.
"""

import math

ENOUGH = 5
LAST = 0.25  # share of the stage
RISING = 0.1  # share of the gain that the last part may add


def converged(history: list[tuple], metric: str, direction: str, start: int) -> bool | None:
    """Does the rule hold of a stage?

    Args:
        history: rows (epoch, split, metric, value), validations within an epoch by its part.
        metric: the validation score that chooses weights.
        direction: "max" or "min", where it is best.
        start: epochs before the stage.

    Returns:
        None with too few validations, or scores that are no numbers.
    """
    sign = 1 if direction == "max" else -1
    scores = {}
    for epoch, split, name, value in history:
        if split == "validation" and name == metric and epoch > start:
            scores[epoch] = sign * value
    if len(scores) < ENOUGH or not all(map(math.isfinite, scores.values())):
        return None
    end = max(scores)
    border = end - LAST * (end - start)
    before = max(score for epoch, score in scores.items() if epoch <= border)
    gained = max(scores.values()) - scores[min(scores)]
    added = max(scores.values()) - before
    return added <= RISING * gained
