"""A map of the embeddings of all runs on one evaluation set, and how stable it is.

Places in the plane, and a tree.
"""

from vidrep.command_line import make_parser, run

SAMPLES = 100  # half-samples of the clips


def main() -> None:
    """Read the command line and the kernels of the last layers, map, write."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--kernels",
        required=True,
        nargs="+",
        help="kernel files of the runs, all of the same clips",
    )
    parser.add_argument(
        "--measure", required=True, help="name of the measure whose distances are shown"
    )
    parser.add_argument("--evaluated-on", required=True, help="the evaluation set")
    parser.add_argument("--seed", type=int, default=0, help="experiment seed (default: 0)")
    parser.add_argument("--places", required=True, help="CSV file to write: a place for each run")
    parser.add_argument(
        "--branches",
        required=True,
        help="CSV file to write: the branches of the tree and their support",
    )
    args = parser.parse_args()
    from threadpoolctl import threadpool_limits

    from vidrep.random_streams import stream
    from vidrep.similarity.files import open_kernels
    from vidrep.similarity_analysis.files import write_map
    from vidrep.similarity_analysis.scaling import map_systems

    # the last layer of each file
    embeddings = list({kernel.path: kernel for kernel in open_kernels(args.kernels)}.values())
    rng = stream(args.seed, "structure", "half-samples", args.evaluated_on)
    with threadpool_limits(1):
        found = map_systems(
            embeddings, args.measure, samples=SAMPLES, rng=rng, groups=embeddings[0].groups
        )
    write_map(found, [kernel.rep for kernel in embeddings], args.places, args.branches)


if __name__ == "__main__":
    run(main)
