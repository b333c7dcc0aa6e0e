"""Estimate the optical flow of a split from its pixels."""

import argparse

from vidrep.command_line import run
from vidrep.datasets import open_clips
from vidrep.flow import METHODS, blocks, estimate_flow, write_flow


def main() -> None:
    """Read the command line, estimate block by block, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", required=True, help="a split, as render_dataset.py writes it")
    parser.add_argument("--method", required=True, choices=METHODS, help="the estimator")
    parser.add_argument("--output", required=True, help="the .zarr folder to write")
    args = parser.parse_args()
    with open_clips(args.clips) as split:
        n, frames, height, width = split.clips.shape[:4]
        fields = (estimate_flow(split.clips[block], args.method) for block in blocks(n))
        attrs = {"dataset": split.attrs["dataset"], "split": split.attrs["split"], "method": args.method}
        write_flow(args.output, fields, (n, frames - 1, 2, height, width), attrs)


if __name__ == "__main__":
    run(main)
