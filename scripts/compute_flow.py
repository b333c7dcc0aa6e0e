"""Compute the optical flow of a split: an estimate, or the truth where the data set knows it."""

import argparse

import numpy as np

from vidrep.command_line import run
from vidrep.datasets.store import ClipFile, open_clips
from vidrep.flow import FLOWS
from vidrep.flow.methods import flow_of_clips, needed_arrays
from vidrep.flow.store import blocks, write_flow


def flow_of_block(method: str, split: ClipFile, block: slice) -> np.ndarray:
    """The flow of some clips of a split."""
    arrays = {name: split.extras[name][block] for name in needed_arrays(method)}
    return flow_of_clips(method, split.clips[block], **arrays)


def main() -> None:
    """Read the command line, compute block by block, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", required=True, help="the clips of a split (.h5)")
    parser.add_argument("--method", required=True, choices=FLOWS, help="which flow")
    parser.add_argument("--output", required=True, help="the .zarr folder to write")
    args = parser.parse_args()
    with open_clips(args.clips) as split:
        if missing := sorted(set(needed_arrays(args.method)) - set(split.extras)):
            raise ValueError(f"{args.clips}: no flow {args.method!r} without {', '.join(missing)}")
        n, frames, height, width = split.clips.shape[:4]
        fields = (flow_of_block(args.method, split, block) for block in blocks(n))
        attrs = {
            "dataset": split.attrs["dataset"],
            "split": split.attrs["split"],
            "method": args.method,
        }
        write_flow(args.output, fields, (n, frames - 1, 2, height, width), attrs)


if __name__ == "__main__":
    run(main)
