"""Reading the tables that compare layers."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vidrep.result_tables import read_table
from vidrep.similarity_analysis.collect import KEYS


def read_layers(path: Path, columns: Sequence[str], dataset: str) -> tuple[pd.DataFrame, str]:
    """The rows of a table of layers that belong to one data set, and their measure."""
    table = read_table(path, (*KEYS, *columns))
    rows = table[table["evaluated_on"] == dataset]
    return rows, rows["measure"].iloc[0]
