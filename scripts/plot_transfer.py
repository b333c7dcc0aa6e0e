"""Draw the transfer matrix of every system: trained on one version, tested on another."""

from vidrep.command_line import run
from vidrep.report.accuracy import transfer_figure
from vidrep.report.drawing import draw_accuracies


def main() -> None:
    draw_accuracies(__doc__, transfer_figure)


if __name__ == "__main__":
    run(main)
