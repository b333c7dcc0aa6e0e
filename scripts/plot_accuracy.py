"""Draw the test accuracy of every system on the version it was trained on."""

from vidrep.command_line import run
from vidrep.report.accuracy import accuracy_figure
from vidrep.report.drawing import draw_accuracies


def main() -> None:
    draw_accuracies(__doc__, accuracy_figure)


if __name__ == "__main__":
    run(main)
