"""Animate a few test videos and the frames of other videos that a run matches to them: a WebP file,
and a page that shows it.
"""

from pathlib import Path

import h5py

from vidrep.command_line import make_parser, run
from vidrep.files import whole
from vidrep.report.alignment import matches_animation
from vidrep.report.animation import page, webp


def main() -> None:
    """Read the command line, draw, write; a run that embeds no frames gets an empty page."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--matches", required=True, help="matched videos, as align.py writes them (.h5)"
    )
    parser.add_argument("--run", required=True, help="name of the run, for the title")
    parser.add_argument(
        "--output",
        required=True,
        type=Path,
        help="the .webp file to write; an .html page goes beside it",
    )
    args = parser.parse_args()
    with h5py.File(args.matches, "r") as file:
        matches = {name: value[:] for name, value in file.items()}
    animation = webp(matches_animation(matches)) if matches else b""
    with whole(args.output) as path:
        path.write_bytes(animation)
    with whole(args.output.with_suffix(".html")) as path:
        path.write_text(page(animation, f"Videos aligned by {args.run}"))


if __name__ == "__main__":
    run(main)
