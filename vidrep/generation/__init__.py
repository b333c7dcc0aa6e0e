"""Frames that runs draw: pictures of a few clips, scores of all of them, and the trivial predictors
that they must beat.
"""

from vidrep.generation.generate import write_generated

__all__ = ["write_generated"]
