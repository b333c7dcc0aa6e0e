"""Draw embeddings in the plane, a figure per evaluation set: PCA, LDA and t-SNE."""

from pathlib import Path

import zarr

from vidrep.activations.store import read_labels, read_layer
from vidrep.command_line import run
from vidrep.report.drawing import figure_parser
from vidrep.report.projections import Embedding, label_slots, projection_figure
from vidrep.report.style import save


def main() -> None:
    """Read the command line, project, draw, write."""
    parser = figure_parser(__doc__, "folder")
    parser.add_argument(
        "--stores",
        required=True,
        nargs="+",
        type=Path,
        help="<evaluation set>/<run>.zarr of the runs to show",
    )
    parser.add_argument("--count", type=int, default=200, help="test clips to show (default: 200)")
    args = parser.parse_args()
    for dataset in dict.fromkeys(store.parent.name for store in args.stores):
        stores = [store for store in args.stores if store.parent.name == dataset]
        embeddings = [read_embedding(store, args.count) for store in stores]
        classes = zarr.open_group(stores[0], mode="r").attrs["classes"]
        save(projection_figure(embeddings, dataset, classes), args.output / f"{dataset}.png")


def read_embedding(store: Path, count: int) -> Embedding:
    """The last layer of a store with the labels of its clips; the first ``count`` test clips."""
    attrs = zarr.open_group(store, mode="r").attrs
    layer = attrs["layers"][-1]
    return Embedding(
        name=attrs["system"],
        fit=read_layer(store, layer, "fit"),
        fit_slots=label_slots(read_labels(store, "fit")),
        shown=read_layer(store, layer)[:count],
        shown_slots=label_slots(read_labels(store))[:count],
    )


if __name__ == "__main__":
    run(main)
