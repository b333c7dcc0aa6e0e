"""Probe the layers of one run on evaluation sets: per-class linear SVMs."""

from pathlib import Path

from vidrep.command_line import make_parser, run
from vidrep.probes.svm import Protocol, probe_store
from vidrep.result_tables import write_rows


def main() -> None:
    """Read the command line, probe store by store, write the confusion counts of each."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--stores",
        required=True,
        nargs="+",
        help="activation stores (.zarr.zip) of the run, one an evaluation set",
    )
    parser.add_argument("--c", required=True, type=float, nargs="+", help="candidate values of C")
    parser.add_argument(
        "--folds", required=True, type=int, help="folds of the cross-validation that chooses C"
    )
    parser.add_argument(
        "--components",
        type=int,
        help="principal components to project on (default: keep the features)",
    )
    parser.add_argument(
        "--outputs",
        required=True,
        type=Path,
        nargs="+",
        help="the .csv files to write: layer, factor, truth, predicted, count",
    )
    args = parser.parse_args()
    protocol = Protocol(tuple(args.c), args.folds, args.components)
    for store, output in zip(args.stores, args.outputs, strict=True):
        write_rows(
            output, ("layer", "factor", "truth", "predicted", "count"), probe_store(store, protocol)
        )


if __name__ == "__main__":
    run(main)
