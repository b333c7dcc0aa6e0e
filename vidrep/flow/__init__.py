"""Optical flow: the truth from the generator, estimates from pixels, their files, errors and
pictures.

Flow is displacement in pixels from frame t to frame t+1, ``(n, T-1, 2, H, W)``; channel 0 is x
(right), channel 1 is y (down).
"""

from vidrep.flow.colour import colour_flow, colour_wheel
from vidrep.flow.error import endpoint_error, summarise_error
from vidrep.flow.estimate import METHODS, estimate_flow
from vidrep.flow.exact import exact_flow
from vidrep.flow.methods import BACKWARD, FLOWS, GENERATED, flow_of_clips, needed_arrays
from vidrep.flow.store import FlowFile, blocks, open_flow, write_flow

__all__ = [
    "BACKWARD",
    "FLOWS",
    "GENERATED",
    "METHODS",
    "FlowFile",
    "blocks",
    "colour_flow",
    "colour_wheel",
    "endpoint_error",
    "estimate_flow",
    "exact_flow",
    "flow_of_clips",
    "needed_arrays",
    "open_flow",
    "summarise_error",
    "write_flow",
]
