"""Train clip labellers on the features of one run, detect activities in the test videos, score
them.
"""

import argparse
import json
import sys
from pathlib import Path

from vidrep.command_line import add_device_options, run
from vidrep.files import write_rows
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, train, detect, write probabilities, detections and scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--features",
        required=True,
        type=Path,
        help="features of the run, as clip_features.py writes them",
    )
    parser.add_argument(
        "--labeller",
        required=True,
        type=json.loads,
        help="size and training of the labeller as JSON",
    )
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
    args = parser.parse_args()
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
    recipe = LabellerRecipe(**args.labeller)
    probabilities = job.label_clips(
        splits,
        recipe,
        seed=seed,
        device=where,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    job.write_probabilities(args.probabilities, splits, probabilities)
    job.write_detections(args.detections, splits["test"], probabilities, settings, about)
    write_rows(args.scores, job.COLUMNS, job.score_rows(splits, probabilities, settings))
    del slots


if __name__ == "__main__":
    run(main)
