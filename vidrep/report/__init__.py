"""Figures: tables and arrays in, pictures and animations out; all in one style."""
