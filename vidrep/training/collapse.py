"""Has training made the embeddings of all clips alike?

Objectives without anything that keeps embeddings apart are solved by a constant. Those that may end
there name the score that tells how far the embeddings of validation clips lie apart (``spread``);
it is taken before the first epoch and held against that of the chosen weights.
"""

COLLAPSED = 0.2  # share of the spread before training below which a run counts as collapsed


def collapse(history: list[tuple], spread: str | None, chosen: int) -> dict | None:
    """What ``run.json`` says of it; None for objectives that cannot collapse.

    Args:
        history: rows (epoch, split, metric, value), the spread of epoch 0 among them.
        spread: name of the score, or None.
        chosen: the epoch whose weights were kept.
    """
    found = {epoch: value for epoch, _, metric, value in history if metric == spread}
    if 0 not in found or chosen not in found:
        return None
    return {
        "metric": spread,
        "untrained": found[0],
        "trained": found[chosen],
        "collapsed": bool(found[chosen] < COLLAPSED * found[0]),
    }


def warning(outcome: dict | None) -> str | None:
    """A line for the log where a run has collapsed, else None."""
    if outcome is None or not outcome["collapsed"]:
        return None
    return (
        f"collapsed: the embeddings of validation clips are nearly alike, {outcome['metric']}"
        f" {outcome['trained']:.3g} where it was {outcome['untrained']:.3g} before training"
    )
