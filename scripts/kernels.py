"""Kernel summaries of all layers of activation stores."""

from vidrep.command_line import make_parser, run


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--stores",
        required=True,
        nargs="+",
        help="activation stores (Zarr), each of one run on one evaluation set",
    )
    parser.add_argument(
        "--outputs", required=True, nargs="+", help="HDF5 file of each, one group per layer"
    )
    arguments = parser.parse_args()
    from vidrep.similarity.files import write_kernels

    for store, output in zip(arguments.stores, arguments.outputs, strict=True):
        write_kernels(store, output)


if __name__ == "__main__":
    run(main)
