"""Draw clips and what a run makes of them: reconstructions and predictions beside the truth."""

import h5py

from vidrep.command_line import run
from vidrep.report.drawing import figure_parser
from vidrep.report.strips import generation_figure
from vidrep.report.style import save


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "output")
    parser.add_argument("--drawn", required=True, help="frames drawn by the run (.h5)")
    parser.add_argument("--run", required=True, help="name of the run, for the title")
    parser.add_argument("--count", type=int, default=4, help="clips to show (default: 4)")
    args = parser.parse_args()
    with h5py.File(args.drawn, "r") as file:
        drawn = {name: value[: args.count] for name, value in file.items()}
    save(generation_figure(drawn, args.run), args.output)


if __name__ == "__main__":
    run(main)
