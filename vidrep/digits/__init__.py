"""Digit sources: labelled glyph images, split into train, validation and test by image."""

from vidrep.digits.source import SPLITS, DigitSource, load_digits, read_digits, write_digits

__all__ = ["SPLITS", "DigitSource", "load_digits", "read_digits", "write_digits"]
