"""How alike the runs on one evaluation set answer: agreement, divergence and stitching."""

from pathlib import Path

from vidrep.command_line import make_parser, run


def main() -> None:
    """Read the command line, the stores and the heads; write the table."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--stores",
        required=True,
        nargs="+",
        help="activation stores of the runs, all of the same clips",
    )
    parser.add_argument(
        "--weights",
        required=True,
        nargs="+",
        type=Path,
        help="weights.pt of the same runs, run.json beside each",
    )
    parser.add_argument(
        "--test", required=True, help="test clips (.h5) of the evaluation set, for what labels mean"
    )
    parser.add_argument("--seed", type=int, default=0, help="experiment seed (default: 0)")
    parser.add_argument("--output", required=True, help="CSV file to write")
    args = parser.parse_args()

    from vidrep.datasets.store import open_clips
    from vidrep.functional_similarity.answers import load_answers
    from vidrep.functional_similarity.heads import load_heads
    from vidrep.functional_similarity.table import write_functional_table

    answers, without, clips = load_answers(args.stores)
    with open_clips(args.test) as file:
        multi_label = bool(file.attrs["multi_label"])
    heads = load_heads([path.parent for path in args.weights], answers)
    write_functional_table(
        args.output, answers, without, heads, clips, multi_label=multi_label, seed=args.seed
    )


if __name__ == "__main__":
    run(main)
