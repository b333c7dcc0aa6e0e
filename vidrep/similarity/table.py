"""The long table of a comparison: one row per pair, everything a figure needs beside the value."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from vidrep.result_tables import number, write_rows
from vidrep.similarity.calibrate import CALIBRATION_COLUMNS, calibrate
from vidrep.similarity.engine import Comparison

PAIR_COLUMNS = (
    "rep_a",
    "rep_b",
    "value",
    "ci_low",
    "ci_high",
    "null_p",
    "n",
    "chance",
    "flag",
    "rank_a",
    "rank_b",
    *CALIBRATION_COLUMNS,
)


def pair_rows(result: Comparison, names: Sequence[str]) -> Iterator[list[str]]:
    """The cells of every pair.

    Of symmetric measures each unordered pair once, with the diagonal; otherwise both orders.
    """
    before_flag = (
        result.values,
        result.ci_low,
        result.ci_high,
        result.null_p,
        result.n,
        result.chance,
    )
    calibration = calibrate(result, names)
    after_flag = [result.rank_a, result.rank_b]
    after_flag += [calibration[name] for name in CALIBRATION_COLUMNS]
    for i, first in enumerate(names):
        start = i if result.symmetric else 0
        for j in range(start, len(names)):
            row = [first, names[j]]
            row += [number(array[i, j]) for array in before_flag]
            row.append(result.flags[i, j])
            row += [number(array[i, j]) for array in after_flag]
            yield row


def write_pairs(path: str | os.PathLike, result: Comparison, names: Sequence[str]) -> None:
    """Write one row per pair.

    Empty cells: no value (the flag says why), or nothing known (an interval, a null or a rank that
    the measure does not have).
    """
    write_rows(path, PAIR_COLUMNS, pair_rows(result, names))


def table(result: Comparison, names: Sequence[str]) -> str:
    """The rows of ``write_pairs`` for reading."""
    return aligned([list(PAIR_COLUMNS), *pair_rows(result, names)])


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first one being the header, as text in columns.

    Columns that are empty throughout are left out.
    """
    padded = []
    for column in zip(*rows, strict=True):
        if any(column[1:]):
            width = max(map(len, column))
            padded.append([cell.ljust(width) for cell in column])
    lines = zip(*padded, strict=True)
    return "\n".join("  ".join(line).rstrip() for line in lines)
