"""Align test videos of sequences by a run's embeddings or by a baseline, and score that."""

import argparse
from pathlib import Path

from vidrep.alignment import BASELINES
from vidrep.command_line import add_device_options, run, split_files
from vidrep.result_tables import write_rows
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, embed, score, write."""
    args = parse()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.alignment import job
    from vidrep.alignment.videos import baseline, embed_frames, read_videos
    from vidrep.training import device
    from vidrep.training.run import load_run
    from vidrep.training.split import load_split

    protocol = job.Protocol(tuple(args.few_shot), args.episodes, args.seed)
    fit_videos = read_videos(args.train.clips, args.train_count)
    test_videos = read_videos(args.test.clips, args.test_count)
    if args.baseline:
        fit = baseline(args.baseline, fit_videos, protocol.rng("chance", "train"))
        test = baseline(args.baseline, test_videos, protocol.rng("chance", "test"))
    else:
        where = device.choose(args.gpus, "float32", args.threads)
        objective, _ = load_run(args.run, where)
        fit = embed_frames(objective, load_split(args.train, args.train_count), where)
        test = embed_frames(objective, load_split(args.test, args.test_count), where)
    job.write_matches(args.matches, test, test_videos)
    rows = [] if test is None else job.score_rows(fit, fit_videos, test, test_videos, protocol)
    write_rows(args.scores, job.ALIGNMENT_COLUMNS, rows)
    del slots


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="folder of the run")
    source.add_argument("--baseline", choices=BASELINES, help="a baseline instead of a run")
    parser.add_argument(
        "--train",
        required=True,
        type=split_files,
        help="training videos, whose phases may be used: CLIPS.h5[,flow=STORE.zarr]"
        "[,flow_backward=STORE.zarr]",
    )
    parser.add_argument("--train-count", required=True, type=int, help="how many of them")
    parser.add_argument(
        "--test", required=True, type=split_files, help="test videos, in the same form"
    )
    parser.add_argument("--test-count", required=True, type=int, help="how many of them")
    parser.add_argument(
        "--few-shot", required=True, type=int, nargs="+", help="numbers of labelled videos"
    )
    parser.add_argument(
        "--episodes", required=True, type=int, help="random choices of few labelled videos"
    )
    parser.add_argument("--seed", required=True, type=int, help="experiment seed")
    add_device_options(parser)
    parser.add_argument("--scores", required=True, type=Path, help="the .csv table to write")
    parser.add_argument(
        "--matches", required=True, type=Path, help="the .h5 file of a few matched videos to write"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
