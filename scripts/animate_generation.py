"""Animate clips and what a run makes of them: a WebP file, and a page that shows it."""

from pathlib import Path

import h5py

from vidrep.command_line import make_parser, run
from vidrep.files import whole
from vidrep.report.animation import animate, page, webp


def main() -> None:
    """Read the command line, draw, write."""
    parser = make_parser(__doc__)
    parser.add_argument("--drawn", required=True, help="frames drawn by the run (.h5)")
    parser.add_argument("--run", required=True, help="name of the run, for the title")
    parser.add_argument("--count", type=int, default=4, help="clips to show (default: 4)")
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="the .webp file to write; an .html page goes beside it",
    )
    args = parser.parse_args()
    with h5py.File(args.drawn, "r") as file:
        drawn = {name: value[: args.count] for name, value in file.items()}
    animation = webp(animate(drawn))
    with whole(args.output) as path:
        path.write_bytes(animation)
    with whole(args.output.with_suffix(".html")) as path:
        path.write_text(page(animation, f"Drawn by {args.run}"))


if __name__ == "__main__":
    run(main)
