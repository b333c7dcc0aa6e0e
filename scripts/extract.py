"""Extract activations of runs on evaluation sets and score the runs, in one pass over each set.

On the data set that it was made for a run is also scored on manipulated test clips.
"""

import argparse
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidrep.clip_scores import (
    Scores,
    interval,
    ranking_interval,
    summary,
    with_exact_set_map,
    write_clip_scores,
)
from vidrep.command_line import add_device_options, make_parser, run, split_files
from vidrep.readouts import MEAN_AVERAGE_PRECISION, PROBABILITIES, LabelSets
from vidrep.result_tables import write_rows
from vidrep.splits import SplitFiles
from vidrep.systems import flow_inputs
from vidrep.training import gpu_slots
from vidrep.windows import first_of_videos

if TYPE_CHECKING:
    from vidrep.training.split import Split


def main() -> None:
    """Read the command line, run the network over each set, write its store and its scores."""
    args = parse()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.training import device
    from vidrep.training.run import load_run

    where = device.choose(args.gpus, "float32", args.threads)
    # A run that meets several sets is read once; baselines do not pile up.
    load = lru_cache(maxsize=1)(load_run)
    runs = args.runs * len(args.test) if len(args.runs) == 1 else args.runs
    jobs = zip(runs, args.test, args.fit, args.stores, args.scores, args.clip_scores, strict=True)
    for folder, test, fit, store, table, of_clips in jobs:
        objective, record = load(folder, where)
        clips, scores = extract_and_score(objective, record, test, fit, store, args, where)
        labels = np.array(first_of_videos(clips.labels.cpu().numpy(), clips.videos))
        if clips.multi_label:
            sets = label_sets(fit.clips)
            for split, found in scores.items():
                scores[split] = with_exact_set_map(found, labels, sets)
        groups = clips.groups and first_of_videos(clips.groups, clips.videos)
        about = {
            "dataset": record["dataset"],
            "system": record["system"]["name"],
            "seed": record["seed"],
            "evaluated_on": test.clips.parent.name,
        }
        write_clip_scores(of_clips, clips.names, labels, scores, groups, about)
        rows = table_rows(scores, labels, groups, multi_label=clips.multi_label)
        write_rows(table, ("split", "metric", "value", "ci_low", "ci_high"), rows)
    del slots


def extract_and_score(
    objective,
    record: dict,
    test: SplitFiles,
    fit: SplitFiles,
    store: Path,
    args: argparse.Namespace,
    where,
) -> tuple["Split", dict[str, Scores]]:
    """Write the activations of a run on one evaluation set.

    Returns:
        Its test clips, and the run's scores of them by split.
    """
    from vidrep.activations.extract import extract_run
    from vidrep.activations.manipulate import control_scores
    from vidrep.activations.pooling import parse_policy
    from vidrep.datasets.store import open_clips
    from vidrep.objectives.build import needed_targets
    from vidrep.training.split import load_split

    system = record["system"]
    targets = needed_targets(system)
    with open_clips(test.clips) as file:
        evaluated_on = file.attrs["dataset"]
        classes = file.attrs["classes"]
    clips = load_split(test, targets=targets)
    scores = {}
    scores["test"] = extract_run(
        objective,
        clips,
        load_split(fit, args.fit_rows, targets=targets),
        store,
        {
            "dataset": record["dataset"],
            "system": system["name"],
            "seed": record["seed"],
            "evaluated_on": evaluated_on,
            "classes": classes,
        },
        rows=args.rows,
        policy=parse_policy(args.pooling),
        dtype=args.dtype,
        device=where,
    )
    if scores["test"] and evaluated_on == record["dataset"]:
        scores |= control_scores(
            objective,
            test.clips,
            args.controls,
            flows=flow_inputs(system["inputs"], system["flow"]),
            targets=targets,
            seed=record["experiment_seed"],
            device=where,
        )
    return clips, scores


def label_sets(train_file: Path) -> LabelSets:
    """The label sets of training clips."""
    from vidrep.datasets.store import open_clips

    with open_clips(train_file) as file:
        return LabelSets.of(file.labels[:])


def table_rows(
    by_split: dict[str, Scores],
    labels: np.ndarray,
    groups: list[str] | None,
    *,
    multi_label: bool,
) -> list[tuple]:
    """Rows (split, metric, value, ci_low, ci_high) of a run's scores, empty where nothing is."""
    rows = []
    for split, scores in by_split.items():
        for metric, value in summary(scores, labels, multi_label=multi_label).items():
            known = (np.nan, np.nan)
            if metric in scores:
                known = interval(scores[metric], groups)
            elif metric == MEAN_AVERAGE_PRECISION:
                known = ranking_interval(scores[PROBABILITIES], labels, groups)
            ends = ("" if np.isnan(end) else end for end in known)
            rows.append((split, metric, value, *ends))
    return rows


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--runs", required=True, nargs="+", type=Path, help="folder of the run, or one of each set"
    )
    parser.add_argument(
        "--test",
        required=True,
        nargs="+",
        type=split_files,
        help="test clips of the evaluation sets: CLIPS.h5[,flow=STORE.zarr]"
        "[,flow_backward=STORE.zarr]",
    )
    parser.add_argument(
        "--fit",
        required=True,
        nargs="+",
        type=split_files,
        help="their training clips, on which probes are fitted, in the same form",
    )
    parser.add_argument(
        "--rows", required=True, type=int, help="test clips whose activations are stored"
    )
    parser.add_argument(
        "--fit-rows", required=True, type=int, help="training clips whose activations are stored"
    )
    parser.add_argument(
        "--pooling", required=True, nargs="+", help="none, space_mean, or a grid: T H W"
    )
    parser.add_argument(
        "--dtype",
        default="float16",
        choices=["float16", "float32"],
        help="of the stored activations",
    )
    parser.add_argument(
        "--controls",
        nargs="*",
        default=[],
        help="manipulations of the run's own test clips to score it on",
    )
    add_device_options(parser)
    parser.add_argument(
        "--stores",
        required=True,
        nargs="+",
        type=Path,
        help="the .zarr.zip files to write, one a set",
    )
    parser.add_argument(
        "--scores",
        required=True,
        nargs="+",
        type=Path,
        help="the .csv files to write: split, metric, value, ci_low, ci_high",
    )
    parser.add_argument(
        "--clip-scores",
        required=True,
        nargs="+",
        type=Path,
        help="the .npz files to write: the scores of every clip",
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
