"""Draw similarity tables: all layers of the systems trained on the evaluation set against each
other.
"""

from vidrep.command_line import run
from vidrep.report.drawing import draw_similarities
from vidrep.report.similarity import layer_figure


def main() -> None:
    draw_similarities(__doc__, layer_figure)


if __name__ == "__main__":
    run(main)
