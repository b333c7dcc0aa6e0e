"""Data sets: what they are, what their clips are rendered from, and their files.

Importing this package costs nothing. ``declared`` reads data sets from a configuration, ``recipes``
holds the catalogue, ``render`` renders clips, ``store`` reads and writes their files.
"""
