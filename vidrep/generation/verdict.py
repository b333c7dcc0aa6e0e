"""Does a run predict at all? It must beat every predictor that has learnt nothing, clearly, clip by
clip.

A black screen and the last input repeated are not enough to ask for: a network that has only learnt
the mean training frame, and predicts it whatever it sees, beats both of them.
"""

import numpy as np
from scipy.stats import t

from vidrep.generation.baselines import LEARNT_NOTHING

PREDICTS = "predicts"
FAILS = "fails"
ERROR = "squared_error_per_frame"
RIVALS = tuple(LEARNT_NOTHING)
COLUMNS = (
    "split",
    "clips",
    ERROR,
    *(f"{rival}_{ERROR}" for rival in RIVALS),
    *(f"minus_{rival}{end}" for rival in RIVALS for end in ("", "_low", "_high")),
    *(f"beats_{rival}" for rival in RIVALS),
    "verdict",
)


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of n independent values and its 95 % interval by Student's t: mean, low, high; no
    interval for a single value.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def verdict_row(errors: dict[str, np.ndarray]) -> tuple:
    """One row of ``COLUMNS``.

    Args:
        errors: ``prediction`` and each of ``RIVALS`` to the squared error per frame of each clip's
            prediction, (n,).

    Returns:
        The mean errors; the mean over clips of the run's error minus each rival's, with its
        interval; a run beats a rival where the whole interval lies below 0, and it predicts if it
        beats them all.
    """
    own = np.asarray(errors["prediction"])
    differences = {rival: mean_interval(own - np.asarray(errors[rival])) for rival in RIVALS}
    beats = {rival: high < 0 for rival, (_, _, high) in differences.items()}
    means = [float(np.mean(errors[name])) for name in ("prediction", *RIVALS)]
    bounds = [value for rival in RIVALS for value in differences[rival]]
    return (
        "test",
        len(own),
        *means,
        *bounds,
        *beats.values(),
        PREDICTS if all(beats.values()) else FAILS,
    )
