"""Does a run predict at all? It must clearly beat every predictor that has learnt nothing.

A black screen and the last input repeated are not enough to ask for: a network that has only learnt
the mean training frame, and predicts it whatever it sees, beats both of them. Nor is an error that
lies measurably below that of the mean frame: with enough clips a thousandth is measurable, and such
a network draws the same picture for every clip. So it must also beat its own predictions given to
other clips, and each rival by ``SMALLEST_EFFECT``.
"""

from collections.abc import Sequence

import numpy as np

from vidrep.generation.baselines import LEARNT_NOTHING
from vidrep.statistics import TOO_FEW_GROUPS, grouped_interval

PREDICTS = "predicts"
FAILS = "fails"
ERROR = "squared_error_per_frame"
RE_PAIRED = "re_paired"
RIVALS = (*LEARNT_NOTHING, RE_PAIRED)
# Share of a rival's error by which a run's must be smaller. Of the mean frame's error, which is the
# variance between clips, a best possible prediction of contrast c (the standard deviation of its
# pictures between clips, in units of that of the true ones) explains the share c^2. At 0.05 its
# pictures vary less than a quarter as much as the true ones: to the eye they are all the same.
SMALLEST_EFFECT = 0.05
VERDICT_COLUMNS = (
    "split",
    "clips",
    ERROR,
    *(f"{rival}_{ERROR}" for rival in RIVALS),
    *(f"minus_{rival}{end}" for rival in RIVALS for end in ("", "_low", "_high")),
    *(f"beats_{rival}" for rival in RIVALS),
    "verdict",
)


def verdict_row(errors: dict[str, np.ndarray], groups: Sequence[str] | None = None) -> tuple:
    """One row of ``VERDICT_COLUMNS``.

    Args:
        errors: ``prediction`` and each of ``RIVALS`` to the squared error per frame of each clip's
            prediction, (n,).
        groups: what each clip shares with others; None where clips are independent.

    Returns:
        The mean errors; the mean over clips of the run's error minus each rival's, with its
        interval; a run beats a rival where the whole interval lies below ``-SMALLEST_EFFECT`` times
        the rival's mean error, and it predicts if it beats them all. Of too few groups of clips
        nothing is said.
    """
    own = np.asarray(errors["prediction"])
    means = [float(np.mean(own))]
    intervals = []
    beats = []
    for rival in RIVALS:
        theirs = np.asarray(errors[rival])
        difference, low, high = grouped_interval(own - theirs, groups)
        their_mean = float(np.mean(theirs))
        means.append(their_mean)
        intervals += [difference, low, high]
        beats.append(high < -SMALLEST_EFFECT * their_mean)
    verdict = PREDICTS if all(beats) else FAILS
    if groups is not None and np.isnan(intervals).any():
        verdict = TOO_FEW_GROUPS
    return ("test", len(own), *means, *intervals, *beats, verdict)
