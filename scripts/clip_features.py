"""Features of all clips of untrimmed videos from one frozen run."""

from pathlib import Path

from vidrep.command_line import add_device_options, make_parser, run
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, run the network over the clips of each split, write one file."""
    parser = make_parser(__doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of the run")
    parser.add_argument(
        "--videos",
        required=True,
        type=Path,
        nargs="+",
        help="untrimmed videos (.h5), named after their splits",
    )
    add_device_options(parser)
    parser.add_argument("--output", required=True, type=Path, help="the .h5 file to write")
    args = parser.parse_args()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.detection.features import extract, write_features
    from vidrep.training import device
    from vidrep.training.run import load_run

    where = device.choose(args.gpus, "float32", args.threads)
    objective, record = load_run(args.run, where)
    splits = {path.stem: extract(path, objective, where) for path in args.videos}
    test = next(path for path in args.videos if path.stem == "test")
    splits["test_shifted"] = extract(test, objective, where, offset=objective.shape.clip[1] // 2)
    about = {
        "dataset": record["dataset"],
        "system": record["system"]["name"],
        "seed": record["seed"],
    }
    write_features(args.output, splits, about)
    del slots


if __name__ == "__main__":
    run(main)
