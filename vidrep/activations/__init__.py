"""Activations: what every named layer of a run computes for the clips of an evaluation set."""

# How test clips may be manipulated, to see whether a run uses motion; ``manipulate`` says how.
CONTROLS = ("shuffled", "reversed", "frozen", "one_frame")
# How names of activation stores end; ``store`` says what they hold.
STORE_SUFFIX = ".zarr.zip"
