"""Probes: simple readouts from a representation to a factor."""
