"""Draw the true flow of some clips and its estimates, a figure per data set."""

from pathlib import Path

from vidrep.command_line import run
from vidrep.datasets.store import open_clips
from vidrep.flow.store import open_flow
from vidrep.report.drawing import figure_parser
from vidrep.report.strips import flow_figure
from vidrep.report.style import save
from vidrep.report.tables import flow_errors


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "folder")
    parser.add_argument(
        "--clips",
        required=True,
        nargs="+",
        type=Path,
        help="<data set>/<split>.h5 of each data set",
    )
    parser.add_argument(
        "--flow",
        required=True,
        nargs="+",
        type=Path,
        help="<data set>/<split>/<method>.zarr of all of them",
    )
    parser.add_argument(
        "--errors",
        nargs="*",
        default=[],
        help="table of end-point errors (flow_error.csv), where there is one",
    )
    parser.add_argument("--count", type=int, default=2, help="clips to show (default: 2)")
    args = parser.parse_args()
    for path in args.clips:
        dataset = path.parent.name
        split = path.stem
        with open_clips(path) as file:
            clips = file.clips[: args.count]
        stores = [store for store in args.flow if store.parts[-3:-1] == (dataset, split)]
        flows = {store.stem: open_flow(store).flow[: args.count] for store in stores}
        save(
            flow_figure(clips, flows, dataset, flow_errors(args.errors, dataset, split)),
            args.output / f"{dataset}.png",
        )


if __name__ == "__main__":
    run(main)
