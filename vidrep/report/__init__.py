"""Figures: tidy tables and arrays in, one PNG and one PDF out; all in one style."""
