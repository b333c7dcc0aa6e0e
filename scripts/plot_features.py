"""Draw what an LSTM encoder and its decoders have learnt: weights as pictures, and predictions far
beyond the clip.
"""

from pathlib import Path

from vidrep.command_line import run
from vidrep.report.drawing import figure_parser


def main() -> None:
    """Read the command line, load, draw, write."""
    parser = figure_parser(__doc__, "output")
    parser.add_argument(
        "--trained", required=True, nargs="+", type=Path, help="files in the folder of the run"
    )
    parser.add_argument(
        "--twin",
        required=True,
        nargs="+",
        type=Path,
        help="files in the folder of its untrained twin",
    )
    parser.add_argument("--test", required=True, help="test clips (.h5)")
    parser.add_argument("--run", required=True, help="name of the run, for the title")
    args = parser.parse_args()

    from vidrep.report.features import MEASURED, features_figure, roll_out, weight_pictures
    from vidrep.report.style import save
    from vidrep.training.device import choose
    from vidrep.training.run import load_run
    from vidrep.training.split import load_split

    device = choose(0, "float32")
    trained, twin = (load_run(files[0].parent, device)[0] for files in (args.trained, args.twin))
    rollouts = None
    if "prediction" in trained.decoders:
        clips = load_split(args.test, count=MEASURED)
        rollouts = roll_out(
            {"trained": trained, "untrained": twin}, clips.batch(slice(None), device)
        )
    save(features_figure(weight_pictures(trained), rollouts, args.run), args.output)


if __name__ == "__main__":
    run(main)
