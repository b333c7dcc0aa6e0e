"""Draw similarity tables: the embeddings of all runs against each other, with a dendrogram."""

from vidrep.command_line import run
from vidrep.report.drawing import draw_similarities
from vidrep.report.similarity import embedding_figure


def main() -> None:
    draw_similarities(__doc__, embedding_figure)


if __name__ == "__main__":
    run(main)
