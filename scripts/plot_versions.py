"""Draw how alike the layers of one system are after training on different data, a figure per
evaluation set.
"""

from vidrep.command_line import run
from vidrep.report.drawing import draw_layers
from vidrep.report.versions import versions_figure
from vidrep.similarity_analysis.layers import VERSION_COLUMNS


def main() -> None:
    draw_layers(__doc__, "versions", VERSION_COLUMNS, versions_figure)


if __name__ == "__main__":
    run(main)
