"""Compare the layers of one run at different times of its training."""

import argparse
from pathlib import Path

from vidrep.command_line import add_device_options, run, split_files
from vidrep.result_tables import write_rows
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, extract the layers at each time, compare, write."""
    args = parse()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.similarity_analysis.training_time import (
        TRAINING_TIME_COLUMNS,
        layers_in_time,
        pair_rows,
    )
    from vidrep.training import device
    from vidrep.training.split import load_split

    where = device.choose(args.gpus, "float32", args.threads)
    clips = load_split(args.test, args.rows)
    policy = args.pooling[0] if len(args.pooling) == 1 else [int(size) for size in args.pooling]
    found = layers_in_time(args.run, args.epochs, clips, args.rows, policy, where)
    write_rows(args.output, TRAINING_TIME_COLUMNS, pair_rows(found, args.measure))
    del slots


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument(
        "--test",
        required=True,
        type=split_files,
        help="test clips of its data set: CLIPS.h5[,flow=STORE.zarr][,flow_backward=STORE.zarr]",
    )
    parser.add_argument(
        "--epochs",
        required=True,
        nargs="+",
        type=int,
        help="numbers of epochs after which weights were kept",
    )
    parser.add_argument("--rows", required=True, type=int, help="test clips that are compared")
    parser.add_argument(
        "--pooling", required=True, nargs="+", help="none, space_mean, or a grid: T H W"
    )
    parser.add_argument("--measure", required=True, help="name of the measure")
    add_device_options(parser)
    parser.add_argument("--output", required=True, type=Path, help="the .csv file to write")
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
