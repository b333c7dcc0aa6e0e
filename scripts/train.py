"""Train one system on one data set with one seed, or only initialise its untrained twin."""

import argparse
import json
import sys
from pathlib import Path

from vidrep.command_line import add_device_options, run
from vidrep.experiment import UNTRAINED
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, claim a device, train, write the run's folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", required=True, help="definition of the system as JSON: model, objective, recipe, ...")
    parser.add_argument("--dataset", required=True, help="name of the data set")
    parser.add_argument("--train", required=True, help="training clips (.h5)")
    parser.add_argument("--validation", required=True, help="validation clips (.h5)")
    parser.add_argument("--train-flow", help="flow of the training clips (.zarr), for systems that are fed flow")
    parser.add_argument("--validation-flow", help="flow of the validation clips (.zarr)")
    parser.add_argument("--train-flow-backward", help="backward flow of the training clips (.zarr), for systems that are fed it")
    parser.add_argument("--validation-flow-backward", help="backward flow of the validation clips (.zarr)")
    parser.add_argument("--weights", type=Path, help="file of pretrained weights that the model starts from")
    parser.add_argument("--experiment-seed", required=True, type=int, help="seed of the experiment")
    parser.add_argument("--seed", required=True, help=f"seed of the run, or {UNTRAINED}")
    add_device_options(parser)
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16 (default: auto)")
    parser.add_argument("--code", default="", help="digest of the code; a checkpoint made by other code is not resumed")
    parser.add_argument("--output", required=True, type=Path, help="folder of the run")
    args = parser.parse_args()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.objectives.build import needed_targets
    from vidrep.training import device, split
    from vidrep.training.pretrained import sha256
    from vidrep.training.run import digest, train_run

    definition = json.loads(args.system)
    targets = needed_targets(definition)
    train = split.load_split(args.train, args.train_flow, flow_backward_store=args.train_flow_backward, targets=targets)
    validation = split.load_split(
        args.validation, args.validation_flow, flow_backward_store=args.validation_flow_backward, targets=targets
    )
    pretrained = sha256(args.weights) if args.weights else None
    label = f"{args.dataset}/{definition['name']}/seed{args.seed}"
    train_run(
        definition,
        train,
        validation,
        seed=args.experiment_seed,
        run_seed=args.seed if args.seed == UNTRAINED else int(args.seed),
        device=device.choose(args.gpus, args.precision, args.threads),
        folder=args.output,
        fingerprint=digest(definition, args.experiment_seed, args.seed, args.code, train.checksum(), pretrained),
        about={"dataset": args.dataset, "gpus": [slot.name for slot in slots]},
        report=lambda line: print(f"{label}: {line}", file=sys.stderr, flush=True),
        weights=args.weights,
    )


if __name__ == "__main__":
    run(main)
