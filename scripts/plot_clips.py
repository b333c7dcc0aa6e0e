"""Draw the same test clips in every version of the data set."""

from pathlib import Path

from vidrep.command_line import run
from vidrep.datasets.store import open_clips
from vidrep.report.drawing import figure_parser
from vidrep.report.strips import clip_figure, label_text
from vidrep.report.style import save


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "output")
    parser.add_argument(
        "--clips", required=True, nargs="+", type=Path, help="<data set>/<split>.h5 of each version"
    )
    parser.add_argument("--count", type=int, default=2, help="clips of each version (default: 2)")
    args = parser.parse_args()
    shown = {}
    labels = {}
    for path in args.clips:
        with open_clips(path) as file:
            version = path.parent.name
            shown[version] = file.clips[: args.count]
            labels[version] = [
                label_text(row, file.attrs["classes"]) for row in file.labels[: args.count]
            ]
    save(clip_figure(shown, labels), args.output)


if __name__ == "__main__":
    run(main)
