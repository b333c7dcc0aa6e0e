"""What the tables of all pairs mean: likeness of systems, its causes, matching layers.

Everything here is computed from similarity tables, but for the stability of the map of systems,
which needs kernels. NumPy only.
"""

# names of the tables that ``collect`` makes of the similarity tables
TABLES = ("variance_shares", "agreement", "layer_matches", "versions")
