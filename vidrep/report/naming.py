"""What data sets and runs are called in figures."""

from collections.abc import Mapping
from types import MappingProxyType

import pandas as pd

NO_TITLES: Mapping[str, str] = MappingProxyType({})  # data sets are called by their names
_DATA_SETS = ("trained_on", "evaluated_on", "trained_on_a", "trained_on_b")


def with_titles(table: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """A table with what people call its data sets instead of their names."""
    named = table.copy()
    for column in _DATA_SETS:
        if column in named:
            named[column] = named[column].replace(dict(titles))
    return named


def run_title(dataset: str, system: str, titles: Mapping[str, str]) -> str:
    """A run, for the title of its figure."""
    return f"{system}, trained on {titles[dataset]}"
