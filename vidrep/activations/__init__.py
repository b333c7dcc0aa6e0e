"""Activations: what every named layer of a run computes for the clips of an evaluation set."""
