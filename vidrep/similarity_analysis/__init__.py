"""What the tables of all pairs mean: which systems are alike, what explains it, and which layers
correspond.

Everything here is computed from similarity tables, but for the stability of the map of systems,
which needs kernels. NumPy only.
"""
