"""Write the exact flow of a rendered split, which only generated data sets have."""

import argparse

from vidrep.command_line import run
from vidrep.datasets import open_clips
from vidrep.flow import blocks, exact_flow, write_flow


def main() -> None:
    """Read the command line, compute block by block, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", required=True, help="a split, as render_dataset.py writes it")
    parser.add_argument("--output", required=True, help="the .zarr folder to write")
    args = parser.parse_args()
    with open_clips(args.clips) as split:
        if missing := {"patches", "corners"} - set(split.extras):
            raise ValueError(f"{args.clips}: no exact flow without {', '.join(sorted(missing))}")
        patches, corners = split.extras["patches"], split.extras["corners"]
        n, frames, height, width = split.clips.shape
        fields = (exact_flow(patches[block], corners[block], width) for block in blocks(n))
        attrs = {"dataset": split.attrs["dataset"], "split": split.attrs["split"], "method": "true"}
        write_flow(args.output, fields, (n, frames - 1, 2, height, width), attrs)


if __name__ == "__main__":
    run(main)
