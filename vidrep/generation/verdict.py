"""Does a run predict at all? It must clearly beat every predictor that has learnt nothing.

A black screen and the last input repeated are not enough to ask for: a network that has only learnt
the mean training frame, and predicts it whatever it sees, beats both of them.
"""

import numpy as np

from vidrep.generation.baselines import LEARNT_NOTHING
from vidrep.statistics import student_interval

PREDICTS = "predicts"
FAILS = "fails"
ERROR = "squared_error_per_frame"
RIVALS = tuple(LEARNT_NOTHING)
VERDICT_COLUMNS = (
    "split",
    "clips",
    ERROR,
    *(f"{rival}_{ERROR}" for rival in RIVALS),
    *(f"minus_{rival}{end}" for rival in RIVALS for end in ("", "_low", "_high")),
    *(f"beats_{rival}" for rival in RIVALS),
    "verdict",
)


def verdict_row(errors: dict[str, np.ndarray]) -> tuple:
    """One row of ``VERDICT_COLUMNS``.

    Args:
        errors: ``prediction`` and each of ``RIVALS`` to the squared error per frame of each clip's
            prediction, (n,).

    Returns:
        The mean errors; the mean over clips of the run's error minus each rival's, with its
        interval; a run beats a rival where the whole interval lies below 0, and it predicts if it
        beats them all.
    """
    own = np.asarray(errors["prediction"])
    means = [float(np.mean(own))]
    intervals = []
    beats = []
    for rival in RIVALS:
        theirs = np.asarray(errors[rival])
        difference, low, high = student_interval(own - theirs)
        means.append(float(np.mean(theirs)))
        intervals += [difference, low, high]
        beats.append(high < 0)
    verdict = PREDICTS if all(beats) else FAILS
    return ("test", len(own), *means, *intervals, *beats, verdict)
