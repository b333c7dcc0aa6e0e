"""The splits of every data set and digit source."""

SPLITS = ("train", "validation", "test")
