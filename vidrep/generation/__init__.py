"""Frames that runs generate, their scores, and the trivial predictors that they must beat."""

from vidrep.generation.generate import write_generated

__all__ = ["write_generated"]
