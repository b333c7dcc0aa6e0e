"""Let a run that draws frames draw some test clips: reconstructions and predictions beside the truth."""

import argparse
from pathlib import Path

from vidrep.command_line import add_device_options, run
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument("--test", required=True, help="test clips (.h5)")
    parser.add_argument("--test-flow", help="flow of the test clips (.zarr), for systems that are fed flow")
    parser.add_argument("--test-flow-backward", help="backward flow of the test clips (.zarr), for systems that are fed it")
    parser.add_argument("--count", required=True, type=int, help="clips to draw")
    add_device_options(parser)
    parser.add_argument("--output", required=True, type=Path, help="the .h5 file to write")
    args = parser.parse_args()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.generation import write_generated
    from vidrep.training import device, split
    from vidrep.training.run import load_run

    where = device.choose(args.gpus, "float32", args.threads)
    objective, _ = load_run(args.run, where)
    clips = split.load_split(args.test, args.test_flow, args.count, flow_backward_store=args.test_flow_backward)
    write_generated(args.output, objective, clips, where)
    del slots


if __name__ == "__main__":
    run(main)
