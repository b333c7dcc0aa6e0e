"""Draw the activities that a run detects in a few test videos, and its mean average precision
against temporal overlap.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from vidrep.command_line import run
from vidrep.report.detection import activity_curves, detection_figure
from vidrep.report.drawing import figure_parser
from vidrep.report.style import save


def main() -> None:
    """Read the command line, draw, write."""
    parser = figure_parser(__doc__, "output")
    parser.add_argument(
        "--detections", required=True, type=Path, help="detections of the run (.json)"
    )
    parser.add_argument("--probabilities", required=True, help="probabilities of its clips (.npz)")
    parser.add_argument("--scores", required=True, help="its scores (.csv)")
    parser.add_argument("--run", required=True, help="name of the run, for the title")
    parser.add_argument("--count", type=int, default=6, help="videos to show (default: 6)")
    args = parser.parse_args()
    found = json.loads(args.detections.read_text())
    with np.load(args.probabilities) as file:
        curves = activity_curves(file["test_lstm"], file["test_clips"], found["k"])
    count = min(args.count, len(curves))
    save(detection_figure(found, curves, pd.read_csv(args.scores), args.run, count), args.output)


if __name__ == "__main__":
    run(main)
