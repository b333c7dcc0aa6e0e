"""Train one system on one data set with one seed, or write untrained baselines."""

import argparse
import importlib
import json
import sys
from functools import partial
from pathlib import Path

from vidrep.command_line import add_device_options, make_parser, run, split_files
from vidrep.runs import UNTRAINED
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, claim a device, train, write the runs' folders."""
    args = parse()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.objectives.build import needed_targets
    from vidrep.training import device
    from vidrep.training.pretrained import sha256
    from vidrep.training.run import digest, train_run
    from vidrep.training.split import load_split

    pretrained = sha256(args.weights) if args.weights else None
    where = device.choose(args.gpus, args.precision, args.threads)
    splits = zip(args.train, args.validation, strict=True)
    runs = zip(args.systems, args.datasets, splits, args.outputs, strict=True)
    for definition, dataset, (train_files, validation_files), folder in runs:
        label = f"{dataset}/{definition['name']}/seed{args.seed}"
        report(label, "reads its data")
        targets = needed_targets(definition)
        train = load_split(train_files, targets=targets)
        check_own_model(definition, train.shape.clip)
        validation = load_split(validation_files, targets=targets)
        if args.endless:
            # by name, so that the digest of this script leaves out renderers and flow
            endless = importlib.import_module("vidrep.training.endless")
            train.new_clips = endless.endless_clips(
                args.endless,
                args.digits,
                definition,
                count=len(train),
                seed=args.experiment_seed,
            )
        fingerprint = digest(
            definition,
            args.experiment_seed,
            args.seed,
            args.code,
            train.checksum(),
            pretrained,
            args.snapshots,
        )
        train_run(
            definition,
            train,
            validation,
            seed=args.experiment_seed,
            run_seed=args.seed if args.seed == UNTRAINED else int(args.seed),
            device=where,
            folder=folder,
            fingerprint=fingerprint,
            about={"dataset": dataset, "gpus": [slot.name for slot in slots]},
            report=partial(report, label),
            weights=args.weights,
            snapshots=args.snapshots,
        )


def check_own_model(definition: dict, clip_shape: tuple) -> None:
    """Look at a network of the user's own before anything is trained."""
    from vidrep.models import MODELS

    if definition["model"] not in MODELS:
        # by name, so that the digest of this script leaves out what is about activations
        own_models = importlib.import_module("vidrep.own_models")
        own_models.check_own_model(definition, clip_shape)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--systems",
        required=True,
        nargs="+",
        type=json.loads,
        help="definition of each run's system as JSON: model, objective, recipe, ...",
    )
    parser.add_argument(
        "--datasets",
        required=True,
        nargs="+",
        help="name of each run's data set",
    )
    parser.add_argument(
        "--train",
        required=True,
        nargs="+",
        type=split_files,
        help="training clips of each: CLIPS.h5[,flow=STORE.zarr][,flow_backward=STORE.zarr]",
    )
    parser.add_argument(
        "--validation",
        required=True,
        nargs="+",
        type=split_files,
        help="validation clips of each, in the same form",
    )
    parser.add_argument(
        "--endless",
        type=json.loads,
        help="the data set as JSON, to render new training clips in every epoch: name, kind,"
        " recipe, classes, multi_label",
    )
    parser.add_argument(
        "--digits",
        type=Path,
        help="with --endless: digits, as split_digits.py writes them, where needed",
    )
    parser.add_argument(
        "--weights", type=Path, help="file of pretrained weights that the model starts from"
    )
    parser.add_argument("--experiment-seed", required=True, type=int, help="seed of the experiment")
    parser.add_argument("--seed", required=True, help=f"seed of the run, or {UNTRAINED}")
    parser.add_argument(
        "--snapshots",
        type=int,
        nargs="*",
        default=[],
        help="numbers of epochs after which weights are kept",
    )
    add_device_options(parser)
    parser.add_argument(
        "--precision",
        default="auto",
        help="auto (bfloat16 on GPUs that have it, else float32; default), float32 or bfloat16",
    )
    parser.add_argument(
        "--code",
        default="",
        help="digest of the code; a checkpoint made by other code is not resumed",
    )
    parser.add_argument("--outputs", required=True, nargs="+", type=Path, help="folder of each run")
    return parser.parse_args()


def report(label: str, line: str) -> None:
    """Say how a run gets on."""
    print(f"{label}: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    run(main)
