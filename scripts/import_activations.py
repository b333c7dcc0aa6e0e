"""Make an activation store of activations that somebody else's network computed on our clips."""

import argparse

from vidrep.command_line import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--file",
        required=True,
        help="activations and ids: .npz, .h5, .hdf5, .zarr, .pt, .pth or .safetensors",
    )
    parser.add_argument(
        "--layers",
        nargs="*",
        default=[],
        help="arrays that are layers, in depth order (default: all)",
    )
    parser.add_argument("--test", required=True, help="test clips (.h5) of the evaluation set")
    parser.add_argument(
        "--rows", required=True, type=int, help="test clips that are compared: the first so many"
    )
    parser.add_argument("--dataset", required=True, help="what the network was trained on")
    parser.add_argument("--system", required=True, help="name of the network")
    parser.add_argument("--seed", required=True, type=int, help="seed of its training")
    parser.add_argument("--output", required=True, help="the .zarr.zip file to write")
    args = parser.parse_args()
    from vidrep.similarity.external import import_activations

    attrs = {"dataset": args.dataset, "system": args.system, "seed": args.seed}
    import_activations(
        args.file, args.test, args.output, count=args.rows, attrs=attrs, layers=args.layers
    )


if __name__ == "__main__":
    run(main)
