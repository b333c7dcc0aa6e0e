"""Train clip labellers on features of one run; detect activities in test videos and score them."""

import argparse
import sys
from pathlib import Path

from vidrep.command_line import add_device_options, run
from vidrep.result_tables import write_rows
from vidrep.training import gpu_slots


def add_labeller_options(parser: argparse.ArgumentParser) -> None:
    """Options for the size and the training of the labeller."""
    parser.add_argument("--units", required=True, type=int, help="cells of an LSTM layer")
    parser.add_argument("--layers", required=True, type=int, help="LSTM layers")
    parser.add_argument("--dropout", required=True, type=float, help="before and after the LSTM")
    parser.add_argument(
        "--background-weight",
        required=True,
        type=float,
        help="weight of background clips in the loss, where activities have 1",
    )
    parser.add_argument("--lr", required=True, type=float, help="learning rate of RMSprop")
    parser.add_argument("--epochs", required=True, type=int, help="passes over the videos")
    parser.add_argument("--batch", required=True, type=int, help="videos a step")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--features",
        required=True,
        type=Path,
        help="features of the run, as clip_features.py writes them",
    )
    add_labeller_options(parser)
    parser.add_argument(
        "--k", required=True, type=int, help="half-width of the mean filter in clips"
    )
    parser.add_argument(
        "--alpha", required=True, type=float, help="threshold of the activity curve"
    )
    parser.add_argument(
        "--try-k", required=True, type=int, nargs="+", help="half-widths to score as well"
    )
    parser.add_argument(
        "--try-alpha", required=True, type=float, nargs="+", help="thresholds to score as well"
    )
    parser.add_argument("--seed", required=True, type=int, help="experiment seed")
    add_device_options(parser)
    parser.add_argument("--probabilities", required=True, type=Path, help="the .npz file to write")
    parser.add_argument("--detections", required=True, type=Path, help="the .json file to write")
    parser.add_argument(
        "--scores",
        required=True,
        type=Path,
        help="the .csv file to write: head, split, k, alpha, metric, value",
    )
    return parser.parse_args()


def main() -> None:
    """Read the command line, train, detect, write probabilities, detections and scores."""
    args = parse()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.detection import job
    from vidrep.detection.features import read_features
    from vidrep.detection.labeller import LabellerRecipe
    from vidrep.random_streams import stream_seed
    from vidrep.training import device

    where = device.choose(args.gpus, "float32", args.threads)
    splits, about = read_features(args.features)
    seed = stream_seed(args.seed, "detection", about["dataset"], about["system"], about["seed"])
    settings = job.Settings(args.k, args.alpha, tuple(args.try_k), tuple(args.try_alpha))
    recipe = LabellerRecipe(
        units=args.units,
        layers=args.layers,
        dropout=args.dropout,
        background_weight=args.background_weight,
        lr=args.lr,
        epochs=args.epochs,
        batch=args.batch,
    )
    probabilities = job.label_clips(
        splits,
        recipe,
        seed=seed,
        device=where,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    job.write_probabilities(args.probabilities, splits, probabilities)
    job.write_detections(args.detections, splits["test"], probabilities, settings, about)
    write_rows(args.scores, job.DETECTION_COLUMNS, job.score_rows(splits, probabilities, settings))
    del slots


if __name__ == "__main__":
    run(main)
