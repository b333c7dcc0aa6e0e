"""Draw what probes read from layer to layer, a figure per evaluation set."""

from vidrep.command_line import run
from vidrep.report.curves import probe_figure
from vidrep.report.drawing import figure_parser
from vidrep.report.style import looks, save
from vidrep.report.tables import probed_clips
from vidrep.result_tables import read_table


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "confusion", "datasets", "families", "folder")
    parser.add_argument("--probes", required=True, help="table of probes (probes.csv)")
    args = parser.parse_args()
    columns = ("system", "trained_on", "evaluated_on", "seed", "layer", "factor")
    probes = read_table(args.probes, (*columns, "metric", "value", "chance"))
    confusion = read_table(args.confusion, (*columns, "count"))
    for dataset in args.datasets:
        clips = probed_clips(confusion, dataset)
        save(
            probe_figure(probes, dataset, clips, looks(args.families)),
            args.output / f"{dataset}.png",
        )


if __name__ == "__main__":
    run(main)
