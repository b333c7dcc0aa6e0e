"""Errors clip by clip of single runs, and whether one mean is clearly above another."""

import numpy as np

from studies.fidelity.claim import Finding, greater
from studies.scores import Score


def of_run(values: np.ndarray, name: str, clips: str = "") -> Score:
    """Errors (n,) that one run makes, or an answer beside it on the same clips.

    Errors with the same ``clips`` are paired.
    """
    row = np.asarray(values, dtype=np.float64)[None]
    return Score(row, name, runs="one run", clips=clips, is_share=False)


def above(names: tuple[str, str], a: np.ndarray, b: np.ndarray, *, paired: bool = True) -> Finding:
    """Is the mean of a clearly above that of b?

    Args:
        names: of both.
        a, b: a value for each clip.
        paired: whether both are of the same clips; else of two groups of clips.
    """
    clips = ("same", "same") if paired else ("first", "second")
    return greater(of_run(a, names[0], clips[0]), of_run(b, names[1], clips[1]))
