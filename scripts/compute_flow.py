"""Compute the optical flow of a split: the truth, which only generated data sets have, or an
estimate from pixels.
"""

import argparse

from vidrep.command_line import run
from vidrep.datasets.store import open_clips
from vidrep.flow import FLOWS
from vidrep.flow.methods import flow_of_clips, needed_arrays
from vidrep.flow.store import blocks, write_flow


def main() -> None:
    """Read the command line, compute block by block, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", required=True, help="a split, as render_dataset.py writes it")
    parser.add_argument("--method", required=True, choices=FLOWS, help="which flow")
    parser.add_argument("--output", required=True, help="the .zarr folder to write")
    args = parser.parse_args()
    with open_clips(args.clips) as split:
        needed = needed_arrays(args.method)
        if missing := sorted(set(needed) - set(split.extras)):
            raise ValueError(f"{args.clips}: no flow {args.method!r} without {', '.join(missing)}")
        n, frames, height, width = split.clips.shape[:4]
        fields = (
            flow_of_clips(
                args.method,
                split.clips[block],
                **{name: split.extras[name][block] for name in needed},
            )
            for block in blocks(n)
        )
        attrs = {
            "dataset": split.attrs["dataset"],
            "split": split.attrs["split"],
            "method": args.method,
        }
        write_flow(args.output, fields, (n, frames - 1, 2, height, width), attrs)


if __name__ == "__main__":
    run(main)
