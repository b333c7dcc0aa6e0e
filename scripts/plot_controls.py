"""Draw the accuracy of every system on intact and on manipulated test clips."""

from vidrep.command_line import run
from vidrep.report.controls import controls_figure
from vidrep.report.drawing import draw_accuracies


def main() -> None:
    draw_accuracies(__doc__, controls_figure)


if __name__ == "__main__":
    run(main)
