"""A map of systems on disk: a table of places and a table of branches."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vidrep.result_tables import write_table
from vidrep.similarity.rep import Rep
from vidrep.similarity_analysis.scaling import SystemMap, clades

PLACES = ("system", "trained_on", "seed", "x", "y", "var_x", "var_y", "cov_xy", "stress", "n")
BRANCHES = ("left", "right", "height", "support", "members")
DECIMALS = 6  # distances are of order 1, and single-precision kernels support no more


def write_map(
    found: SystemMap,
    reps: Sequence[str],
    places: str | Path,
    branches: str | Path,
) -> None:
    """Write a map of embeddings.

    Args:
        found: the map.
        reps: ids of all representations given, ``<dataset>/<system>/seed<k>/<layer>``.
        places: table of the places in the unit of the measure's distance, one row a run; ``stress``
            is that of the whole map.
        branches: table of the tree. ``left`` and ``right`` are rows of ``places``, counted from 0,
            or their number + b for branch b; ``members`` are the runs under the branch.
    """
    runs = [Rep.parse(reps[i]) for i in found.kept]
    table = pd.DataFrame(
        {
            "system": [run.system for run in runs],
            "trained_on": [run.dataset for run in runs],
            "seed": [run.seed for run in runs],
            "x": found.points[:, 0],
            "y": found.points[:, 1],
            "var_x": found.spread[:, 0, 0],
            "var_y": found.spread[:, 1, 1],
            "cov_xy": found.spread[:, 0, 1],
            "stress": found.stress,
            "n": found.n,
        },
        columns=PLACES,
    )
    write_table(table.round(DECIMALS), places)
    members = []
    for branch in clades(found.links):
        names = [runs[i].run for i in sorted(branch)]
        members.append(" ".join(names))
    tree = pd.DataFrame(
        {
            "left": found.links[:, 0].astype(int),
            "right": found.links[:, 1].astype(int),
            "height": found.links[:, 2],
            "support": found.support,
            "members": members,
        },
        columns=BRANCHES,
    )
    write_table(tree.round(DECIMALS), branches)


def links(branches: pd.DataFrame) -> np.ndarray:
    """The tree of a table of branches in SciPy's form, (R - 1, 4)."""
    members = branches["members"].str.split(" ")
    sizes = members.str.len().to_numpy(float)
    joined = branches[["left", "right", "height"]].to_numpy(float)
    return np.column_stack([joined, sizes])
