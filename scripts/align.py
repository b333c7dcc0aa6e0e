"""Align the test videos of sequences by the embeddings of a run or by a baseline, and score how
well that goes.
"""

import argparse
from pathlib import Path

from vidrep.command_line import add_device_options, run
from vidrep.result_tables import write_rows
from vidrep.training import gpu_slots


def main() -> None:
    """Read the command line, embed, score, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="folder of the run")
    source.add_argument("--baseline", help="frame_index, raw_pixels or chance")
    for split, what in (
        ("train", "training videos, whose phases may be used"),
        ("test", "test videos"),
    ):
        parser.add_argument(f"--{split}", required=True, help=f"{what} (.h5)")
        parser.add_argument(
            f"--{split}-flow", help="their flow (.zarr), for systems that are fed flow"
        )
        parser.add_argument(
            f"--{split}-flow-backward",
            help="their backward flow (.zarr), for systems that are fed it",
        )
        parser.add_argument(f"--{split}-count", required=True, type=int, help="how many of them")
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
    args = parser.parse_args()
    slots = gpu_slots.claim(args.gpus)

    from vidrep.alignment import job
    from vidrep.training import device, split
    from vidrep.training.run import load_run

    protocol = job.Protocol(tuple(args.few_shot), args.episodes, args.seed)
    fit_videos = job.read_videos(args.train, args.train_count)
    test_videos = job.read_videos(args.test, args.test_count)
    if args.baseline:
        parts = (("train", fit_videos), ("test", test_videos))
        fit, test = (
            job.baseline(args.baseline, videos, protocol.rng("chance", name))
            for name, videos in parts
        )
    else:
        where = device.choose(args.gpus, "float32", args.threads)
        objective, _ = load_run(args.run, where)
        stores = (
            (args.train, args.train_flow, args.train_count, args.train_flow_backward),
            (args.test, args.test_flow, args.test_count, args.test_flow_backward),
        )
        fit, test = (
            job.embed_frames(
                objective, split.load_split(clips, flow, count, flow_backward_store=backward), where
            )
            for clips, flow, count, backward in stores
        )
    job.write_matches(args.matches, test, test_videos)
    rows = [] if test is None else job.score_rows(fit, fit_videos, test, test_videos, protocol)
    write_rows(args.scores, job.ALIGNMENT_COLUMNS, rows)
    del slots


if __name__ == "__main__":
    run(main)
