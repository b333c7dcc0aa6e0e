"""Draw which layers of every two systems correspond, a figure per evaluation set."""

from vidrep.command_line import run
from vidrep.report.drawing import draw_layers
from vidrep.report.layer_matches import matches_figure
from vidrep.similarity_analysis.layers import MATCH_COLUMNS


def main() -> None:
    draw_layers(__doc__, "matches", MATCH_COLUMNS, matches_figure)


if __name__ == "__main__":
    run(main)
