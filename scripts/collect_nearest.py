"""Which system is nearest to each run's embedding, and is it surely nearer than the runner-up?"""

from pathlib import Path

from vidrep.command_line import make_parser, run


def main() -> None:
    """Read the command line, compare, write."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--kernels", required=True, nargs="+", type=Path, help="<evaluated on>/<run>.h5 of all runs"
    )
    parser.add_argument("--measures", required=True, nargs="+", help="names of measures")
    parser.add_argument(
        "--uncertainty",
        choices=("cheap", "all"),
        default="cheap",
        help="as of compare.py (default: cheap)",
    )
    parser.add_argument("--seed", type=int, default=0, help="experiment seed (default: 0)")
    parser.add_argument(
        "--memory-mb", type=float, default=2048, help="memory for arrays of kernels (default: 2048)"
    )
    parser.add_argument("--output", required=True, help="CSV file to write")
    args = parser.parse_args()
    from vidrep.similarity import find
    from vidrep.similarity.difference import DIFFERENCE_COLUMNS, write_differences
    from vidrep.similarity.files import open_kernels
    from vidrep.similarity.nearest import nearest_rows

    lines = []
    for evaluated in dict.fromkeys(path.parent for path in args.kernels):
        kernels = open_kernels([path for path in args.kernels if path.parent == evaluated])
        for measure in args.measures:
            found = nearest_rows(
                kernels,
                measure,
                intervals=args.uncertainty == "all" or find(measure).light,
                seed=args.seed,
                memory_mb=args.memory_mb,
                groups=kernels[0].groups,
            )
            lines += [[evaluated.name, measure, *line] for line in found]
    write_differences(args.output, lines, ["evaluated", "measure", *DIFFERENCE_COLUMNS])


if __name__ == "__main__":
    run(main)
