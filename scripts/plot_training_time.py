"""Draw when the layers of systems take their final form, a figure per data set."""

from vidrep.command_line import run
from vidrep.report.drawing import draw_layers
from vidrep.report.training_time import training_time_figure
from vidrep.similarity_analysis.training_time import TRAINING_TIME_COLUMNS


def main() -> None:
    draw_layers(__doc__, "training_time", TRAINING_TIME_COLUMNS, training_time_figure)


if __name__ == "__main__":
    run(main)
