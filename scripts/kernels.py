"""Kernel summaries of all layers of one activation store."""

import argparse

from vidrep.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="activation store (Zarr) of one run on one evaluation set")
    parser.add_argument("--output", required=True, help="HDF5 file to write, one group per layer")
    arguments = parser.parse_args()
    from vidrep.similarity.files import write_kernels

    write_kernels(arguments.store, arguments.output)


if __name__ == "__main__":
    run(main)
