"""All pairs of representations on one evaluation set under one measure, as a long table."""

import argparse

from vidrep.command_line import key_value, make_parser, run


def parse() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--kernels",
        required=True,
        nargs="+",
        help="kernel files of the runs, all of the same clips",
    )
    parser.add_argument(
        "--measure", required=True, help="name of the measure, e.g. cka_linear_debiased"
    )
    parser.add_argument("--output", required=True, help="CSV file to write")
    parser.add_argument("--seed", type=int, default=0, help="experiment seed (default: 0)")
    parser.add_argument(
        "--permutations",
        type=int,
        default=199,
        help="fewest re-pairings for p values, 0 for none (default: 199)",
    )
    parser.add_argument(
        "--uncertainty",
        choices=("cheap", "all"),
        default="cheap",
        help=(
            "intervals and p values: cheap: where they cost little beside the values; all: whatever"
            " they cost (default: cheap)"
        ),
    )
    parser.add_argument(
        "--memory-mb", type=float, default=2048, help="memory for arrays of kernels (default: 2048)"
    )
    parser.add_argument(
        "--option",
        type=key_value,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the measure; may be repeated",
    )
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    from vidrep.similarity import all_pairs, find
    from vidrep.similarity.files import open_kernels
    from vidrep.similarity.table import write_pairs

    kernels = open_kernels(arguments.kernels)
    wanted = arguments.uncertainty == "all" or find(arguments.measure).light
    result = all_pairs(
        kernels,
        arguments.measure,
        intervals=wanted,
        permutations=arguments.permutations if wanted else 0,
        groups=kernels[0].groups,
        within=kernels[0].groups is not None,
        seed=arguments.seed,
        memory_mb=arguments.memory_mb,
        **dict(arguments.option),
    )
    write_pairs(arguments.output, result, [kernel.rep for kernel in kernels])


if __name__ == "__main__":
    run(main)
