"""vidrep: compare the spatio-temporal feature spaces that video architectures learn."""

__version__ = "0.1.0"
