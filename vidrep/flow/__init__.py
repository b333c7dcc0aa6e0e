"""Optical flow: the truth of rendered clips, estimates from pixels, their files, errors, pictures.

Flow is displacement in pixels from frame t to frame t+1, ``(n, T-1, 2, H, W)``; channel 0 is x
(right), channel 1 is y (down). Here stand only the names of the methods, since the Snakefile reads
them whenever it is parsed; what they mean stands in ``vidrep.flow.methods``.
"""

from vidrep.datasets.kind import EXACT_FLOWS

ESTIMATED_FLOWS = ("dis", "farneback")
BACKWARD = "_backward"
SHARD = 512  # clips whose flow is computed together and lies in one file
FORWARD_FLOWS = (*EXACT_FLOWS, *ESTIMATED_FLOWS)
FLOWS = (*FORWARD_FLOWS, *(name + BACKWARD for name in FORWARD_FLOWS))
