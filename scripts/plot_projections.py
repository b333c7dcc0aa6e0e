"""Draw embeddings in the plane, a figure per evaluation set: PCA, LDA and t-SNE."""

from pathlib import Path

import zarr

from vidrep.activations.store import read_layer, row_numbers
from vidrep.command_line import run
from vidrep.datasets.store import open_clips
from vidrep.report.drawing import figure_parser
from vidrep.report.projections import Embedding, label_slots, projection_figure
from vidrep.report.style import save


def main() -> None:
    """Read the command line, project, draw, write."""
    parser = figure_parser(__doc__, "folder")
    parser.add_argument("--stores", required=True, nargs="+", type=Path, help="<evaluation set>/<run>.zarr of the runs to show")
    parser.add_argument("--test", required=True, nargs="+", type=Path, help="<evaluation set>/test.h5 of each, for its labels")
    parser.add_argument("--fit", required=True, nargs="+", help="the training clips (.h5) in the same order, for their labels")
    parser.add_argument("--count", type=int, default=200, help="test clips to show (default: 200)")
    args = parser.parse_args()
    for test_path, fit_path in zip(args.test, args.fit, strict=True):
        dataset = test_path.parent.name
        with open_clips(test_path) as test, open_clips(fit_path) as fit:
            slots, fit_slots = label_slots(test.labels), label_slots(fit.labels)
            classes = test.attrs["classes"]
        stores = [store for store in args.stores if store.parent.name == dataset]
        embeddings = [read_embedding(store, slots, fit_slots, args.count) for store in stores]
        save(projection_figure(embeddings, dataset, classes), args.output / f"{dataset}.png")


def read_embedding(store: Path, slots, fit_slots, count: int) -> Embedding:
    """The last layer of a store with the labels of its clips; the first ``count`` test clips."""
    attrs = zarr.open_group(store, mode="r").attrs
    layer = attrs["layers"][-1]
    return Embedding(
        name=attrs["system"],
        fit=read_layer(store, layer, "fit"),
        fit_slots=fit_slots[row_numbers(store, "fit")],
        shown=read_layer(store, layer)[:count],
        shown_slots=slots[row_numbers(store)][:count],
    )


if __name__ == "__main__":
    run(main)
