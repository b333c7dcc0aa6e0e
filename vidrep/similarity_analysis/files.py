"""A map of systems on disk: a table of places and a table of branches."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vidrep.result_tables import write_table
from vidrep.similarity_analysis.scaling import SystemMap, clades

PLACES = ("system", "trained_on", "seed", "x", "y", "var_x", "var_y", "cov_xy", "stress", "n")
_DIGITS = 6  # decimals: distances are of order 1, and single-precision kernels support no more
BRANCHES = ("left", "right", "height", "support", "members")


def write_map(
    found: SystemMap, reps: Sequence[str], places: str | Path, branches: str | Path
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
    parts = [reps[i].split("/", 3) for i in found.kept]
    table = pd.DataFrame(
        [(system, dataset, seed.removeprefix("seed")) for dataset, system, seed, _ in parts],
        columns=PLACES[:3],
    )
    table[["x", "y"]] = found.points
    table["var_x"], table["var_y"], table["cov_xy"] = (
        found.spread[:, 0, 0],
        found.spread[:, 1, 1],
        found.spread[:, 0, 1],
    )
    write_table(table.assign(stress=found.stress, n=found.n).round(_DIGITS), places)
    runs = ["/".join(part[:3]) for part in parts]
    members = [" ".join(runs[i] for i in sorted(branch)) for branch in clades(found.links)]
    lines = zip(
        *found.links[:, :2].astype(int).T, found.links[:, 2], found.support, members, strict=True
    )
    write_table(pd.DataFrame(lines, columns=BRANCHES).round(_DIGITS), branches)


def links(branches: pd.DataFrame) -> np.ndarray:
    """The tree of a table of branches in SciPy's form, (R - 1, 4)."""
    sizes = branches["members"].str.split(" ").str.len()
    return np.column_stack(
        [branches[["left", "right", "height"]].to_numpy(float), sizes.to_numpy(float)]
    )
