"""Draw a few test videos beside the frames of other videos that a run matches to them."""

import h5py

from vidrep.command_line import run
from vidrep.report.alignment import matches_figure
from vidrep.report.drawing import figure_parser
from vidrep.report.style import save


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "output")
    parser.add_argument(
        "--matches", required=True, help="matched videos, as align.py writes them (.h5)"
    )
    parser.add_argument("--run", required=True, help="name of the run, for the title")
    args = parser.parse_args()
    with h5py.File(args.matches, "r") as file:
        matches = {name: value[:] for name, value in file.items()}
    save(matches_figure(matches, args.run), args.output)


if __name__ == "__main__":
    run(main)
